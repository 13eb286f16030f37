const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
/** One call for many bytes: asking for a few at a time is most of what they cost. */
const pool = new Uint8Array(4_096)
let used = pool.length

/** So many characters of `[A-Za-z0-9_-]`, six random bits each. */
export function randomText(length: number): string {
  if (used + length > pool.length) {
    crypto.getRandomValues(pool)
    used = 0
  }
  let text = ''
  for (const end = used + length; used < end; used++) text += ALPHABET.charAt((pool[used] ?? 0) & 63)
  return text
}
