export type * from './contracts.js'
export { EtlError, isEtlError } from './errors.js'
