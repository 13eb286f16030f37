import { jsonCodec } from './client-codec.ts'
import type { ClientTransport } from './client-transport.ts'
import type { HttpTransportOptions } from './http-exchange.ts'
import { HttpLink } from './http-link.ts'

/** Milliseconds within which an answer without frames is too early: the server waits for some. */
const EARLY = 1_000
/** Milliseconds before the next poll after the first of such answers, and at most. */
const PAUSE = 50
const LONGEST_PAUSE = 2_000

/**
 * Links over plain HTTP requests, to a server with `@rtapi/long-polling`: one that waits for frames at all times, and one
 * for each frame up. Gets through where nothing else does. Frames are JSON, whatever the codec of the client.
 */
export function longPollingTransport(options: HttpTransportOptions = {}): ClientTransport {
  return {
    name: 'long-polling',
    codec: jsonCodec,
    connect: (request) => new HttpLink(request, options, poll),
  }
}

async function poll(link: HttpLink): Promise<void> {
  let early = 0
  while (link.isOpen) {
    const body = JSON.stringify({ session: link.session, cursor: link.cursor })
    const askedAt = link.now()
    const question = { method: 'POST', path: '/poll', body, signal: link.signal } as const
    const answer = await link.ask(question, async (response) => link.takeAnswer(await response.text()))
    if (answer === undefined) return
    // Something in between that answers by itself must not be asked without end.
    early = answer.count === 0 && link.now() - askedAt < EARLY ? early + 1 : 0
    if (early > 1) await link.wait(Math.min(LONGEST_PAUSE, PAUSE * 2 ** early))
  }
}
