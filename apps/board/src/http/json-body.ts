import type { IncomingMessage } from 'node:http'

const mostBytes = 4_096

/** A request that is answered with an HTTP status; the message is shown to the client. */
export class HttpError extends Error {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message)
    this.name = 'HttpError'
    this.status = status
    this.headers = headers
  }
}

/**
 * Reads the JSON body of a request, at most 4 KiB.
 * @throws HttpError 415, 413 or 400.
 */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const [type] = (request.headers['content-type'] ?? '').split(';')
  // A page of another origin can send any other type without asking first.
  if (type?.trim().toLowerCase() !== 'application/json') throw new HttpError(415, 'Send application/json.')
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > mostBytes) throw new HttpError(413, `A body holds at most ${mostBytes} bytes.`, { connection: 'close' })
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown
  } catch {
    throw new HttpError(400, 'The body is not JSON.')
  }
}
