import type { OpenLink } from '../wire-link.ts'
import { HttpSession } from './http-session.ts'

/** Over long polling, by `fetch`. */
export const openLongPolling: OpenLink = (line, options) =>
  new HttpSession(line.poll, options, (session) => {
    poll(session).catch((error: unknown) => session.end({ code: 1006, reason: String(error) }))
  })

async function poll(session: HttpSession): Promise<void> {
  while (!session.signal.aborted) await session.poll()
}
