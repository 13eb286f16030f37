import type { Clock } from '@rtapi/core'
import { type HttpRefusal, refuse } from './answers.ts'
import { joined } from './joined.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })

/** What bounds a body. */
export interface BodyLimits {
  /** Bytes. */
  readonly size: number
  /** Milliseconds until it must have come. */
  readonly timeout: number
}

/**
 * The body of a request as text, read no further than it may be long.
 * @throws HttpRefusal 413 too long, 415 compressed or of another type, 408 too slow, 400 torn or no UTF-8.
 * @throws TypeError if somebody has read it before.
 */
export async function readBody(
  { headers, body, bodyUsed }: Request,
  limits: BodyLimits,
  clock: Clock,
): Promise<string> {
  const encoding = headers.get('content-encoding')
  if (encoding !== null && encoding.trim().toLowerCase() !== 'identity')
    throw unsupportedMedia('The body must not be compressed.')
  const type = headers.get('content-type')
  if (type !== null && !isText(type)) throw unsupportedMedia('Expected a body of application/json, in UTF-8.')
  if (Number(headers.get('content-length')) > limits.size) throw tooLong(limits)
  if (bodyUsed) throw new TypeError('The body was read before: give the handler requests whose body nobody has read.')
  if (body === null) return ''
  const bytes = await readBytes(body.getReader(), limits, clock)
  try {
    return utf8.decode(bytes)
  } catch {
    throw refuse('bad_request', 'The body is not UTF-8.')
  }
}

/** JSON; and what `fetch` and `curl --data` call any text of which they are told nothing. */
const TEXT = /^(application\/json|application\/[\w.-]+\+json|application\/x-www-form-urlencoded|text\/plain)$/

function isText(contentType: string): boolean {
  const [type = '', ...parameters] = contentType.toLowerCase().split(';')
  const charset = parameters.map((parameter) => /^\s*charset\s*=\s*"?([^"\s]*)"?\s*$/.exec(parameter)?.[1])
  return TEXT.test(type.trim()) && charset.every((name) => name === undefined || /^(utf-?8|us-ascii)$/.test(name))
}

function unsupportedMedia(message: string): HttpRefusal {
  return refuse('bad_request', message, { status: 415 })
}

async function readBytes(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  limits: BodyLimits,
  clock: Clock,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  let refusal: HttpRefusal | undefined
  const give = (why: HttpRefusal): void => {
    refusal = why
    // What is left of it may still come; nobody waits for that. A read that waits is answered as the end.
    reader.cancel().catch(() => undefined)
  }
  const stopTimer = clock.setTimer(limits.timeout, () =>
    give(refuse('bad_request', 'The body came too slowly.', { status: 408 })),
  )
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done || refusal !== undefined) break
      size += value.byteLength
      if (size > limits.size) give(tooLong(limits))
      else chunks.push(value)
    }
  } catch {
    refusal ??= refuse('bad_request', 'The body ended before it was whole.')
  } finally {
    stopTimer()
  }
  if (refusal !== undefined) throw refusal
  return joined(chunks, size)
}

function tooLong({ size }: BodyLimits): HttpRefusal {
  return refuse('limit_exceeded', `A body holds at most ${size} bytes.`)
}
