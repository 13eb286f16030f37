/** An array or object that is being read. */
interface Open {
  /** Where its head belongs. */
  readonly at: number
  readonly isMap: boolean
  count: number
}

/**
 * JSON as MessagePack, token by token: also what no encoder writes, such as names that stand twice, numbers that are not
 * finite, lone surrogates and thousands of levels. JSON that is cut short becomes MessagePack that is.
 */
export function messagePackOf(json: string): Uint8Array {
  const parts: Buffer[] = []
  const open: Open[] = []
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]]|-?\d[\d.eE+-]*|true|false|null/g)) {
    if (token === '}' || token === ']') {
      const closed = open.pop()
      if (closed !== undefined) parts[closed.at] = headOf(closed)
      continue
    }
    const parent = open.at(-1)
    if (parent !== undefined) parent.count++
    if (token === '{' || token === '[') open.push({ at: parts.length, isMap: token === '{', count: 0 })
    parts.push(token === '{' || token === '[' ? Buffer.alloc(0) : scalarOf(token))
  }
  for (const { count, ...unfinished } of open) parts[unfinished.at] = headOf({ ...unfinished, count: count + 2 })
  return new Uint8Array(Buffer.concat(parts))
}

function headOf({ isMap, count: items }: Open): Buffer {
  const count = isMap ? items / 2 : items
  if (count < 16) return Buffer.of((isMap ? 0x80 : 0x90) | count)
  const head = Buffer.of(isMap ? 0xdf : 0xdd, 0, 0, 0, 0)
  head.writeUInt32BE(count, 1)
  return head
}

function scalarOf(token: string): Buffer {
  if (token === 'null') return Buffer.of(0xc0)
  if (token === 'false') return Buffer.of(0xc2)
  if (token === 'true') return Buffer.of(0xc3)
  return token.startsWith('"') ? textOf(JSON.parse(token) as string) : numberOf(token)
}

function numberOf(token: string): Buffer {
  if (/^\d{1,2}$/.test(token)) return Buffer.of(Number(token))
  const bytes = Buffer.alloc(9)
  if (/^-?[1-9]\d{0,17}$/.test(token)) {
    bytes[0] = 0xd3
    bytes.writeBigInt64BE(BigInt(token), 1)
  } else {
    bytes[0] = 0xcb
    bytes.writeDoubleBE(Number(token), 1)
  }
  return bytes
}

/** Lone surrogates keep their three bytes, which are no UTF-8. */
function textOf(text: string): Buffer {
  const parts = Array.from(text, (character) => {
    const code = character.codePointAt(0) ?? 0
    if (code < 0xd800 || code > 0xdfff) return Buffer.from(character)
    return Buffer.of(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f))
  })
  const body = Buffer.concat(parts)
  if (body.length < 32) return Buffer.concat([Buffer.of(0xa0 | body.length), body])
  const head = Buffer.of(0xdb, 0, 0, 0, 0)
  head.writeUInt32BE(body.length, 1)
  return Buffer.concat([head, body])
}
