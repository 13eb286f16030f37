import type { Sql } from './dialects/dialect.ts'

/** Quoted names and texts, in which a `?` is a character like any other. */
const PIECE = /"(?:[^"]|"")*"|`(?:[^`]|``)*`|'(?:[^']|'')*'|\?/g

/**
 * The text of a piece of SQL with something else in place of its `?`, such as `$1` or an escaped literal.
 * @param write - what to put there for the parameter with this index.
 */
export function renderSql({ text, params }: Sql, write: (param: unknown, index: number) => string): string {
  let index = 0
  return text.replace(PIECE, (piece) => {
    if (piece !== '?') return piece
    index += 1
    return write(params[index - 1], index - 1)
  })
}
