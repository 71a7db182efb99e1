import { cases as core } from './core.mjs'
import { cases as csv } from './decode-csv.mjs'
import { cases as json } from './decode-json.mjs'
import { cases as memory } from './memory.mjs'
import { cases as paging } from './paging.mjs'
import { cases as upload } from './upload.mjs'

/** In the order in which they run and are shown. */
export const CASES = [...csv, ...json, ...core, ...paging, ...upload, ...memory]
