/** Documents cut out of a file, a few at a time. */
export interface Piece {
  readonly texts: string[]
  /** Where each text begins: a line, for JSON the number of the element. */
  readonly places: number[]
  /** Documents that could not even be cut out. */
  readonly refused: { readonly place: number; readonly reason: string }[]
}

export function emptyPiece(): Piece {
  return { texts: [], places: [], refused: [] }
}
