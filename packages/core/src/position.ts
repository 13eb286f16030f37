import type { Position } from './channel-layer.ts'

/**
 * The position of a feed as clients hold it: the feed's id and where each of its groups stood. It is opaque to them, and
 * nothing in it is believed: what a forged one asks for is filtered by the session's own permissions.
 */
export function writePosition(feed: string, positions: readonly Position[]): string {
  let text = feed
  for (const { epoch, seq } of positions) text += `~${epoch}-${seq}`
  return text
}

/** The groups' positions, or `undefined` if the text is no position of this feed. */
export function readPosition(text: string, feed: string, groups: number): readonly Position[] | undefined {
  const [id, ...parts] = text.split('~')
  if (id !== feed || parts.length !== groups) return undefined
  const positions: Position[] = []
  for (const part of parts) {
    const match = /^([A-Za-z0-9_-]{1,32})-(\d{1,15})$/.exec(part)
    if (match === null) return undefined
    positions.push({ epoch: match[1] ?? '', seq: Number(match[2]) })
  }
  return positions
}
