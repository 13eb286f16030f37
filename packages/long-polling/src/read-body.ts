import type { Clock } from '@rtapi/core'
import { type HttpRefusal, refuse } from './answers.ts'

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
 * @throws HttpRefusal 413 too long, 415 compressed, 408 too slow, 400 torn or no UTF-8.
 */
export async function readBody(request: Request, limits: BodyLimits, clock: Clock): Promise<string> {
  const encoding = request.headers.get('content-encoding')
  if (encoding !== null && encoding.trim().toLowerCase() !== 'identity')
    throw refuse('bad_request', 'The body must not be compressed.', 415)
  const announced = request.headers.get('content-length')
  if (announced !== null && Number(announced) > limits.size) throw tooLong(limits)
  if (request.body === null) return ''
  const bytes = await readBytes(request.body.getReader(), limits, clock)
  try {
    return utf8.decode(bytes)
  } catch {
    throw refuse('bad_request', 'The body is not UTF-8.')
  }
}

async function readBytes(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  limits: BodyLimits,
  clock: Clock,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  let failure = refuse('bad_request', 'The body ended before it was whole.')
  const give = (refusal: HttpRefusal): void => {
    failure = refusal
    // What is left of it may still come; nobody waits for that.
    reader.cancel().catch(() => undefined)
  }
  const stopTimer = clock.setTimer(limits.timeout, () => give(refuse('bad_request', 'The body came too slowly.', 408)))
  let isWhole = false
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      size += value.byteLength
      if (size > limits.size) {
        give(tooLong(limits))
        throw failure
      }
      chunks.push(value)
    }
    isWhole = failure.status !== 408
  } catch {
    isWhole = false
  } finally {
    stopTimer()
  }
  if (!isWhole) throw failure
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : joined(chunks, size)
}

/** Chunks one after the other. */
export function joined(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const bytes = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.byteLength
  }
  return bytes
}

function tooLong({ size }: BodyLimits): HttpRefusal {
  return refuse('limit_exceeded', `A body holds at most ${size} bytes.`)
}
