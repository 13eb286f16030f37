import type { ClientTransport, TransportLink } from '../../src/client-transport.ts'
import { FakeClock } from './fake-clock.ts'

/** What a transport tells of one link. */
export interface RecordedLink {
  readonly link: TransportLink
  readonly clock: FakeClock
  readonly frames: (string | Uint8Array)[]
  readonly opened: number
  readonly closes: readonly (readonly [code: number, reason: string, after: number | undefined])[]
  token: string | null
}

/** Opens a link of a transport. */
export function recordLink(transport: ClientTransport, url = 'http://server/rt/'): RecordedLink {
  const clock = new FakeClock()
  const frames: (string | Uint8Array)[] = []
  const closes: (readonly [number, string, number | undefined])[] = []
  const seen = { opened: 0, token: null as string | null }
  const link = transport.connect({
    url,
    codec: 'json',
    protocols: ['rtapi.v1.json'],
    clock,
    token: () => seen.token,
    onOpen: () => void seen.opened++,
    onFrame: (frame) => void frames.push(frame),
    onClose: (code, reason, after) => void closes.push([code, reason, after]),
  })
  return {
    link,
    clock,
    frames,
    closes,
    get opened() {
      return seen.opened
    },
    get token() {
      return seen.token
    },
    set token(token) {
      seen.token = token
    },
  }
}
