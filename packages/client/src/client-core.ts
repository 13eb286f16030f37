import type { Report } from '@rtapi/core'
import { type ReplySuccess, type Row, RtapiError } from '@rtapi/core/protocol'
import type { ClientOptions } from './client.ts'
import { systemClock } from './client-clock.ts'
import { jsonCodec } from './client-codec.ts'
import { defaultClientLimits } from './client-limits.ts'
import type { ClientTransport } from './client-transport.ts'
import { Connection } from './connection.ts'
import { errorFromWire } from './errors.ts'
import { asSent } from './frames.ts'
import { type FrameListener, redact } from './frame-listener.ts'
import { KnownRows } from './known-rows.ts'
import type { ContentMessage } from './link.ts'
import { Listeners, reportUncaught } from './listeners.ts'
import { type LiveView, ViewStore } from './live-view.ts'
import { type Call, Requests } from './requests.ts'
import { type UntypedResource, resourceClient } from './resource-client.ts'
import type { SubscriptionQuery } from './subscription.ts'
import { Subscriptions } from './subscriptions.ts'
import { trafficOf } from './traffic.ts'
import { webSocketTransport } from './web-socket-transport.ts'

/** A client without its types: joins connection, requests and subscriptions. */
export class ClientCore {
  readonly connection: Connection
  readonly frames: Listeners<Parameters<FrameListener>>
  readonly #requests: Requests
  readonly #subscriptions: Subscriptions
  readonly #known = new KnownRows()
  readonly #resources = new Map<string, UntypedResource>()
  readonly #report: Report
  #lastId = 0
  #flushing = false

  constructor(options: ClientOptions) {
    const { url, client, token = null, codec = jsonCodec } = options
    const { clock = systemClock, random = Math.random, report = reportUncaught } = options
    const limits = { ...defaultClientLimits, ...options.limits }
    const newId = (): string => (++this.#lastId).toString(36)
    this.#report = report
    this.frames = new Listeners(report)
    const traffic = trafficOf(
      () => this.#requests,
      () => this.#subscriptions,
    )
    const connection = new Connection(
      { url, token, client, codec, transports: transportsOf(options), traffic, clock, random, limits, report, newId },
      {
        starting: () => this.#subscriptions.revive(),
        opened: () => [...this.#subscriptions.opened(), ...this.#requests.take('greeted')],
        welcomed: ({ another }) => {
          if (another) this.#forget()
          this.#subscriptions.welcomed()
          this.#requests.pump()
        },
        received: (message) => this.#received(message),
        settled: () => this.#subscriptions.flush(),
        lost: ({ another }) => {
          this.#subscriptions.lost()
          this.#requests.lost()
          if (another) this.#forget()
          this.#flushSoon()
        },
        closed: (error, { denied }) => {
          this.#requests.close(error)
          this.#subscriptions.lost()
          if (denied) this.#subscriptions.drop()
          this.#subscriptions.suspend(error)
          this.#flushSoon()
        },
        frame: (direction, messages) => {
          if (this.frames.size > 0) this.frames.emit(direction, messages.map(redact))
        },
      },
    )
    this.connection = connection
    this.#requests = new Requests(
      {
        clock,
        newId,
        phase: () => connection.phase,
        send: (messages) => connection.send(messages),
        frameLimit: () => connection.limits.frame,
        bytes: (message) => connection.bytes(message),
        settled: () => connection.advance(),
      },
      limits,
    )
    this.#subscriptions = new Subscriptions(this.#known, {
      newId,
      now: () => clock.monotonic(),
      welcomed: () => connection.phase === 'welcome',
      limits: () => connection.limits,
      bytes: (message) => connection.bytes(message),
      shown: () => connection.advance(),
      send: (messages) => connection.send(messages),
      wait: (wait, run) => connection.wait(wait, run),
      recovery: (recovery) => connection.state.set({ recovery }),
    })
  }

  /** The client of a resource, the same at each call. */
  resource(name: string): UntypedResource {
    let resource = this.#resources.get(name)
    if (resource === undefined) {
      resource = resourceClient(name, {
        known: this.#known,
        call: (call, timeout) => this.#call(call, timeout),
        live: (query) => this.#live(query),
      })
      this.#resources.set(name, resource)
    }
    return resource
  }

  close(): void {
    this.connection.close()
    this.#subscriptions.close()
  }

  #call(call: Call, timeout: number | undefined): Promise<ReplySuccess> {
    const closed = this.#start()
    return closed === undefined ? this.#requests.call(call, timeout) : Promise.reject(closed)
  }

  #live(query: SubscriptionQuery): LiveView<Row> {
    const lasting = asSent(query)
    const closed = this.#start()
    const subscription = this.#subscriptions.add(lasting, (state) => view.show(state))
    if (closed !== undefined) subscription.suspend(closed)
    const view = new ViewStore<Row>(
      {
        state: subscription.state,
        get: (key) => subscription.row(key),
        close: () => this.#subscriptions.close(subscription),
      },
      this.#report,
    )
    return view
  }

  /** Connects at the first use; answers why there is no connection if it is closed. */
  #start(): Error | undefined {
    if (this.connection.state.status === 'idle') this.connection.start()
    const { status, error } = this.connection.state.getSnapshot()
    return status === 'closed' ? (error ?? new RtapiError('unavailable', 'the client was closed')) : undefined
  }

  #received(message: ContentMessage): void {
    switch (message.type) {
      case 'reply':
        // A reply without a request comes after its time, or says what was wrong with a message that has no id.
        if (!this.#requests.reply(message) && message.id === undefined && !message.ok) {
          this.#report(errorFromWire(message.error), { during: 'message to the server' })
        }
        break
      case 'snapshot':
        this.#subscriptions.snapshot(message)
        break
      case 'changes':
        this.#subscriptions.changes(message)
        break
      case 'reset':
        this.#subscriptions.reset(message)
        break
      case 'end':
        this.#subscriptions.end(message)
        break
      default:
      // A later version of the protocol; `expiring` is the connection's.
    }
  }

  /** Somebody else is signed in. */
  #forget(): void {
    this.#subscriptions.drop()
    this.#requests.dropWrites(
      new RtapiError('unauthenticated', 'somebody else was signed in before this could be sent'),
    )
  }

  #flushSoon(): void {
    if (this.#flushing) return
    this.#flushing = true
    queueMicrotask(() => {
      this.#flushing = false
      this.#subscriptions.flush()
    })
  }
}

function transportsOf({ transport, WebSocket }: ClientOptions): readonly ClientTransport[] {
  if (transport === undefined) return [webSocketTransport({ WebSocket })]
  return 'connect' in transport ? [transport] : transport
}
