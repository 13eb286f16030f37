/** Bytes of a frame on the wire: those of its UTF-8 form if it is a text. A lone surrogate counts as what replaces it. */
export function byteLength(data: string | Uint8Array): number {
  if (typeof data !== 'string' || !WIDE.test(data)) return data.length
  let bytes = data.length
  for (let i = 0; i < data.length; i++) {
    const unit = data.charCodeAt(i)
    if (unit < 0x80) continue
    // A pair of surrogates is four bytes for two units, anything else above U+07FF three for one.
    bytes += unit < 0x800 || isPaired(data, i, unit) ? 1 : 2
  }
  return bytes
}

/** Most texts have nothing of it, and the engine finds that out faster than a loop does. */
const WIDE = /[\u0080-\uffff]/

function isPaired(text: string, at: number, unit: number): boolean {
  if (unit >= 0xd800 && unit < 0xdc00) return (text.charCodeAt(at + 1) & 0xfc00) === 0xdc00
  return unit >= 0xdc00 && unit < 0xe000 && (text.charCodeAt(at - 1) & 0xfc00) === 0xd800
}
