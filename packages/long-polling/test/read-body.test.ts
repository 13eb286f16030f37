import { fakeClock } from '@rtapi/testing'
import { describe, expect, test } from 'vitest'
import { HttpRefusal } from '../src/answers.ts'
import { readBody } from '../src/read-body.ts'

const limits = { size: 10, timeout: 10_000 }

function requestOf(body: RequestInit['body'], headers: Readonly<Record<string, string>> = {}): Request {
  const init = { method: 'POST', headers, body: body ?? null, duplex: 'half' as const }
  return new Request('http://app.example/rt', init)
}

/** A body that comes in chunks; one that is not there never comes. */
function chunks(
  ...texts: readonly (string | Uint8Array | undefined)[]
): ReadableStream<Uint8Array> & { cancelled: boolean } {
  const left = [...texts]
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (left.length === 0) return controller.close()
      const next = left.shift()
      if (next === undefined) return await new Promise(() => undefined)
      controller.enqueue(typeof next === 'string' ? new TextEncoder().encode(next) : next)
    },
    cancel: () => void (body.cancelled = true),
  })
  const body = Object.assign(stream, { cancelled: false })
  return body
}

async function statusOf(request: Request, clock = fakeClock()): Promise<number | string> {
  try {
    return await readBody(request, limits, clock)
  } catch (error) {
    if (!(error instanceof HttpRefusal)) throw error
    return error.status
  } finally {
    expect(clock.timers).toBe(0)
  }
}

describe('the length', () => {
  test.each([
    ['the limit', '0123456789', '0123456789'],
    ['one byte more', '0123456789a', 413],
    ['in bytes, not characters', 'ää ää ää', 413],
    ['nothing', '', ''],
    ['no body', null, ''],
  ])('%s', async (_name, body, found) => {
    expect(await statusOf(requestOf(body))).toBe(found)
  })

  test('without content-length it is counted, and no more is read than needed', async () => {
    const body = chunks('01234', '56789', 'a', 'b', 'c')
    expect(await statusOf(requestOf(body))).toBe(413)
    expect(body.cancelled).toBe(true)
    expect(await statusOf(requestOf(chunks('01234', '56789')))).toBe('0123456789')
  })

  test('announced as too long, it is not read at all', async () => {
    const request = requestOf(chunks(undefined), { 'content-length': '11' })
    expect(await statusOf(request)).toBe(413)
    expect(request.bodyUsed).toBe(false)
  })
})

test('a body that does not come in time is given up', async () => {
  const clock = fakeClock()
  const body = chunks('0', undefined)
  const status = statusOf(requestOf(body), clock)
  let isOver = false
  void status.then(() => (isOver = true))
  await clock.advance(9_999)
  expect(isOver).toBe(false)
  await clock.advance(1)
  expect(await status).toBe(408)
  expect(body.cancelled).toBe(true)
})

test('a body that breaks is refused', async () => {
  const body = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(new Error('torn')) })
  expect(await statusOf(requestOf(body))).toBe(400)
})

describe('what it is', () => {
  test.each([
    [{ 'content-encoding': 'gzip' }, 415],
    [{ 'content-encoding': 'identity' }, '{}'],
    [{ 'content-encoding': 'br, identity' }, 415],
    [{ 'content-type': 'application/json' }, '{}'],
    [{ 'content-type': 'application/json; charset=utf-8' }, '{}'],
    [{ 'content-type': 'Application/JSON; Charset="UTF-8"' }, '{}'],
    [{ 'content-type': 'application/merge-patch+json' }, '{}'],
    [{ 'content-type': 'application/x-www-form-urlencoded' }, '{}'],
    [{ 'content-type': 'text/plain;charset=UTF-8' }, '{}'],
    [{ 'content-type': 'application/json; charset=latin1' }, 415],
    [{ 'content-type': 'application/json; charset=utf-16' }, 415],
    [{ 'content-type': 'application/xml' }, 415],
    [{ 'content-type': 'multipart/form-data; boundary=x' }, 415],
    [{ 'content-type': 'application/octet-stream' }, 415],
    [{ 'content-type': '' }, 415],
  ])('%o', async (headers, found) => {
    expect(await statusOf(requestOf(new TextEncoder().encode('{}'), headers))).toBe(found)
  })

  test('bytes that are no UTF-8 are refused, and a byte order mark is not text', async () => {
    expect(await statusOf(requestOf(new Uint8Array([0x22, 0xff, 0x22])))).toBe(400)
    expect(await statusOf(requestOf(new Uint8Array([0xef, 0xbb, 0xbf, 0x7b, 0x7d])))).toBe('{}')
    expect(await statusOf(requestOf(chunks(new Uint8Array([0xc3]), new Uint8Array([0xa4]))))).toBe('ä')
  })
})

test('a body that somebody has read before is a mistake of the program, and says so', async () => {
  const request = requestOf('{}')
  await request.text()
  await expect(readBody(request, limits, fakeClock())).rejects.toThrow('give the handler requests whose body')
})
