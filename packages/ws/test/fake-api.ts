import {
  type Api,
  type Codec,
  type Handshake,
  type Limits,
  type TransportSocket,
  defaultLimits,
  jsonCodec,
  systemClock,
} from '@rtapi/core'
import { type FakeClock, fakeClock } from '@rtapi/testing'
import { Queue } from './queue.ts'

/** What a transport told about one client. */
type Heard =
  | { readonly type: 'received'; readonly data: string | Uint8Array }
  | { readonly type: 'drained' }
  | { readonly type: 'closed'; readonly code: number; readonly reason: string }

export interface AcceptedClient {
  readonly socket: TransportSocket
  readonly handshake: Handshake
  readonly codec: Codec
  readonly heard: Queue<Heard>
}

/** Its time stands still until the test moves it; its ticks end by themselves. */
function clockWithTicks(): FakeClock {
  const clock = fakeClock()
  clock.defer = (run) => systemClock.defer(run)
  return clock
}

/** The part of an API that a transport sees; it answers nothing by itself. */
export class FakeApi implements Api {
  readonly ready: Promise<void> = Promise.resolve()
  readonly limits: Limits
  readonly codecs: readonly Codec[]
  readonly clock: FakeClock = clockWithTicks()
  readonly clients = new Queue<AcceptedClient>()
  /** Called in the middle of `accept`. */
  onAccept: ((client: AcceptedClient) => void) | undefined

  constructor({ limits = {}, codecs = [jsonCodec] }: { limits?: Partial<Limits>; codecs?: readonly Codec[] } = {}) {
    this.limits = { ...defaultLimits, ...limits }
    this.codecs = codecs
  }

  accept(socket: TransportSocket, handshake: Handshake, codec: Codec): ReturnType<Api['accept']> {
    const heard = new Queue<Heard>()
    const client = { socket, handshake, codec, heard }
    this.clients.push(client)
    this.onAccept?.(client)
    return {
      receive: (data) => heard.push({ type: 'received', data }),
      drained: () => heard.push({ type: 'drained' }),
      closed: (code, reason) => heard.push({ type: 'closed', code, reason }),
    }
  }

  readonly report = (error: unknown): never => {
    throw error
  }
  readonly sessions = {
    end: (): Promise<void> => Promise.resolve(),
    refresh: (): Promise<void> => Promise.resolve(),
    list: () => Promise.resolve({ connections: [], complete: true }),
  }

  touch(): Promise<void> {
    return Promise.resolve()
  }
  stats(): never {
    throw new Error('a transport has no use for stats')
  }
  close(): Promise<void> {
    return Promise.resolve()
  }
}
