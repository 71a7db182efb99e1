/** Where Infino is and with which keys: from options, then from the environment. */
import { EtlError } from '../errors.js'
import { Secret } from '../http/redact.js'
import { invalidOption } from '../internal/options.js'

export const DEFAULT_ENDPOINT = 'https://api.infino.ws'

/** The address without a trailing slash, checked; a base path is kept. */
export function endpointOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw invalidOption('endpoint', 'an http or https address such as https://api.infino.ws', text)
  // Not shown: the user part is where a password would be.
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    throw new EtlError(
      'ETL_OPTION_INVALID',
      'option endpoint: expected an address without user, query and fragment; give the keys as accessKey and secretKey',
      { context: { option: 'endpoint' } },
    )
  return url
}

/** A key from the option or the environment. */
export function keyOf(option: string, variable: string, given: string | undefined): Secret {
  const value = given ?? process.env[variable]
  if (value === undefined || value === '') {
    throw new EtlError(
      'ETL_OPTION_INVALID',
      `option ${option}: expected a key, got none; give it as an option or in the environment as ${variable}`,
      { context: { option } },
    )
  }
  if (typeof value !== 'string' || !/^[\x21-\x7e]+$/.test(value)) {
    throw new EtlError(
      'ETL_OPTION_INVALID',
      `option ${option} (or ${variable}): expected printable characters without spaces; is a line break or a quote left in it?`,
      { context: { option } },
    )
  }
  return new Secret(value)
}
