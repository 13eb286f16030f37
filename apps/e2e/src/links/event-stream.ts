import { EventSource } from 'eventsource'
import { type LinkEnd, type OpenLink, json } from '../wire-link.ts'
import { HttpSession } from './http-session.ts'

/** Over a stream of server-sent events, with a stock `EventSource`; what the client says is posted. */
export const openEventStream: OpenLink = (line, options) =>
  new HttpSession(line.poll, options, (session) => {
    const source = new EventSource(`${line.poll}/stream?session=${session.id}&cursor=${session.cursor}`, {
      fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...session.headers } }),
    })
    const end = (how: LinkEnd): void => {
      source.close()
      session.end(how)
    }
    session.signal.addEventListener('abort', () => source.close())
    source.addEventListener('message', ({ data }) => session.deliver(json.decode(String(data))))
    source.addEventListener('close', ({ data }) => end(JSON.parse(String(data)) as LinkEnd))
    // It would come back by itself; a client of the protocol comes back with a link of its own.
    source.addEventListener('error', ({ message }) => end({ code: 1006, reason: message ?? 'the stream broke' }))
  })
