/** An answer that holds frames. */
export interface HttpAnswer {
  readonly session: string
  /** The number before that of the first frame. */
  readonly from: number
  readonly frames: readonly string[]
  /** The session is over, and these frames are its last. */
  readonly closed: { readonly code: number; readonly reason: string } | undefined
}

/**
 * Reads an answer: a line about it, then one frame a line.
 * @throws Error for one that is no such answer, or not all of it.
 */
export function readAnswer(text: string): HttpAnswer {
  const [first = '', ...lines] = text.split('\n')
  const head = JSON.parse(first) as Readonly<Record<string, unknown>>
  const { session, from, cursor, closed } = head
  if (typeof session !== 'string' || typeof from !== 'number' || typeof cursor !== 'number')
    throw new Error('the answer is not of rtapi')
  // Each line ends with a line feed, so that the last piece is empty if the answer is whole.
  if (lines.pop() !== '' || lines.length !== cursor - from) throw new Error('the answer is not whole')
  return { session, from, frames: lines, closed: closed as HttpAnswer['closed'] }
}
