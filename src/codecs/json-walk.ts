/** Follows the tokens of stream-json to the wanted array, and keeps the document around it. */
import Assembler from 'stream-json/assembler.js'
import type { Token } from 'stream-json/parser.js'

/** Keeps whole numbers that a double would round. */
class ExactAssembler extends Assembler {
  constructor() {
    super({ numberAsString: false })
    this.numberValue = (text: string) => {
      const number = Number(text)
      const exact = Number.isSafeInteger(number) || /[.eE]/.test(text)
      ;(this as unknown as { _saveValue(value: unknown): void })._saveValue(exact ? number : BigInt(text))
    }
  }
}

const MAX_LOOK_KEYS = 50

/**
 * - `before`: not at the array yet
 * - `array`: inside it
 * - `behind`: it has ended, the document has not
 * - `done`: the document has ended
 */
export type WalkState = 'before' | 'array' | 'behind' | 'done'

export class Walk {
  state: WalkState = 'before'
  /** The array was met. */
  found = false
  /** Tokens so far. */
  events = 0
  /** What stands in the place of the array. */
  wrong: string | undefined
  readonly topKeys: string[] = []
  /** Keys of the object in the place of the array. */
  readonly keys: string[] = []
  private readonly path: readonly string[]
  private assembler: Assembler | undefined = new ExactAssembler()
  /** Open objects and arrays around the current token. */
  private depth = 0
  /** How many keys of the path lead to where we are. */
  private matched = 0
  private key: string | undefined
  /** The object in the place of the array is being looked at for a key that would do. */
  private looking = false
  private table: string | undefined
  private list: string | undefined
  private listOpened = false

  constructor(path: readonly string[]) {
    this.path = path
  }

  /** Takes the next token; of the array only its brackets are to be given. */
  take(token: Token): void {
    this.events++
    this.assembler?.consume(token)
    if (this.state === 'array') {
      this.depth--
      this.state = this.depth === 0 ? 'done' : 'behind'
    } else if (this.state === 'before') this.before(token)
    else this.outside(token)
  }

  /** The document, with nothing in the array; absent until it has ended, and where it was let go. */
  document(): unknown {
    return this.state === 'done' ? this.assembler?.current : undefined
  }

  /** The document is not kept any longer. */
  letGo(): void {
    this.assembler = undefined
  }

  /** The key of the object in the place of the array that most likely holds the rows. */
  suggestion(): string | undefined {
    return this.table ?? this.list ?? this.keys[0]
  }

  /** Enough was read of an object in the place of the array. */
  stopLooking(): void {
    if (this.looking) this.wrong = 'an object'
  }

  /** What may stand at the current place, for a message. */
  expects(): string {
    if (this.state === 'done') return 'the end of the document'
    if (this.state === 'array') return 'a value, "," or "]"'
    return this.events === 0 ? 'an array' : 'valid JSON'
  }

  private before(token: Token): void {
    if (token.name === 'keyValue') {
      this.key = token.value
      if (this.depth === 1 && this.topKeys.length < MAX_LOOK_KEYS) this.topKeys.push(token.value)
      if (this.looking && this.depth === this.path.length + 1) this.keys.push(token.value)
      if (this.keys.length >= MAX_LOOK_KEYS) this.stopLooking()
    } else if (isEnd(token)) this.close()
    else this.value(token)
  }

  private value(token: Token): void {
    if (this.looking) this.look(token)
    else if (this.isTarget()) {
      if (token.name === 'startArray') {
        this.state = 'array'
        this.found = true
      } else if (token.name === 'startObject') this.looking = true
      else this.wrong = kindOfToken(token)
    } else if (token.name === 'startObject' && this.isOnPath()) this.matched = this.depth
    if (isStart(token)) this.depth++
    else if (this.depth === 0) this.state = 'done'
  }

  private isTarget(): boolean {
    const { length } = this.path
    if (length === 0) return this.depth === 0
    return this.depth === length && this.matched === length - 1 && this.key === this.path[length - 1]
  }

  private isOnPath(): boolean {
    const { depth } = this
    return (
      depth >= 1 &&
      depth < this.path.length &&
      this.matched === depth - 1 &&
      this.key === this.path[depth - 1]
    )
  }

  private look(token: Token): void {
    const opened = this.listOpened
    this.listOpened = false
    if (opened && token.name === 'startObject') {
      this.table = this.key
      this.stopLooking()
    } else if (token.name === 'startArray' && this.depth === this.path.length + 1) {
      this.list ??= this.key
      this.listOpened = true
    }
  }

  private close(): void {
    this.depth--
    this.listOpened = false
    if (this.looking && this.depth === this.path.length) this.stopLooking()
    if (this.depth <= this.matched) this.matched = Math.max(0, this.depth - 1)
    this.key = undefined
    if (this.depth === 0) this.state = 'done'
  }

  private outside(token: Token): void {
    if (isStart(token)) this.depth++
    else if (isEnd(token) && --this.depth === 0) this.state = 'done'
  }
}

function isStart(token: Token): boolean {
  return token.name === 'startObject' || token.name === 'startArray'
}

function isEnd(token: Token): boolean {
  return token.name === 'endObject' || token.name === 'endArray'
}

function kindOfToken(token: Token): string {
  if (token.name === 'stringValue') return 'a string'
  if (token.name === 'numberValue') return 'a number'
  return token.name === 'nullValue' ? 'null' : 'a boolean'
}
