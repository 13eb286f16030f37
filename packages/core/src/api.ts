import type { ChangeSource } from './change-source.ts'
import type { ChannelLayer } from './channel-layer.ts'
import type { Codec } from './codec.ts'
import type { Diagnose } from './diagnostics.ts'
import type { Limits } from './protocol.ts'
import type { Resource } from './resource.ts'
import type { ResultKeeper } from './result-keeper.ts'
import type { Clock, Report } from './runtime.ts'
import type { Authenticate, Handshake } from './session.ts'
import type { SessionRule, SessionSelector } from './session-rule.ts'
import type { SweepOptions } from './sweep.ts'
import type { SocketEvents, TransportSocket } from './transport-socket.ts'

export interface ApiOptions<Resources extends readonly Resource[]> {
  readonly resources: Resources
  /** Where changes come from. A store that is also a change source is given here too. */
  readonly changes?: readonly ChangeSource[]
  /** @default memoryLayer(), for one process */
  readonly layer?: ChannelLayer
  /**
   * Keeps the results of writes with an idempotency key; closed with the API.
   * @default those of the layer; a layer without any refuses such writes as `unsupported`
   */
  readonly results?: ResultKeeper
  /** @default every session is anonymous */
  readonly authenticate?: Authenticate
  /**
   * What changes of users' records, sign-ins and rights mean for sessions: `[userRecords({ entity: 'User' })]`.
   * @default nothing: the application calls `sessions.end` and `sessions.refresh`
   */
  readonly sessionRules?: readonly SessionRule[]
  /**
   * Compares views with the store again and again, for writes that nobody announces: by other programs, or of a process
   * that died before it did. Every distinct view of this process is queried once in each interval, at most so many at once
   * as a quarter of `limits.snapshots`, and not if it was queried meanwhile for another reason; and of each connection it
   * is asked whether it may still see what it sees of resources with `dependsOn`. `authenticate` is not asked.
   * @default none
   */
  readonly sweep?: SweepOptions
  /** @default [jsonCodec] */
  readonly codecs?: readonly Codec[]
  readonly limits?: Partial<Limits>
  /** @default systemClock */
  readonly clock?: Clock
  /** @default lines of JSON in the platform's error log */
  readonly report?: Report
  /**
   * Told of what happens, for metrics and traces. For Node's diagnostics channels:
   * `diagnostics: (event) => channel(`rtapi:${event.type}`).publish(event)`, with `channel` of `node:diagnostics_channel`.
   * @default nobody is told
   */
  readonly diagnostics?: Diagnose
}

/** One connection of a session. */
export interface SessionInfo {
  readonly connection: string
  /** The process that serves it: a name that each has for as long as it lives. */
  readonly process: string
  /** `null`: anonymous. */
  readonly user: string | number | null
  readonly session?: string
  readonly transport: string
  readonly remoteAddress?: string
  /** Milliseconds since 1970. */
  readonly openedAt: number
  readonly expiresAt?: number
  /** Known of connections to this process alone. */
  readonly subscriptions?: number
}

/** The connections of some sessions, as far as they are known. */
export interface SessionList {
  /** Those that opened first come first. */
  readonly connections: readonly SessionInfo[]
  /**
   * `false`: there may be more. The channel layer did not answer or keeps no presence, then these are the connections of
   * this process; or another process has not said all yet, or has more than 100 of one user.
   */
  readonly complete: boolean
}

/** What `touch` takes: a resource by its name, and a filter of its records as clients write it. */
export type TouchArguments<Touched extends Resource> =
  Touched extends Resource<infer Name, infer Types> ? [resource: Name, where?: Types['where']] : never

/** A running API: what transports plug into. */
export interface Api<Resources extends readonly Resource[] = readonly Resource[]> {
  /** Settles when the layer is open and the change sources have started; requests wait for it. */
  readonly ready: Promise<void>
  readonly limits: Limits
  readonly codecs: readonly Codec[]
  readonly report: Report
  readonly clock: Clock
  /** Takes over one client. Called by transports, once for each link. `codec` is one of `codecs`. */
  accept(socket: TransportSocket, handshake: Handshake, codec: Codec): SocketEvents
  /**
   * Commands are obeyed in this process in any case. They reject where the channel layer does not take them in time, and
   * are tried again until the other processes have heard of them.
   */
  readonly sessions: {
    /** Closes these connections with 4440, on every process. `reason` is cut to 32 printable ASCII characters. */
    end(selector: SessionSelector & { readonly reason?: string }): Promise<void>
    /** Re-evaluates what these connections may see, now, on every process. */
    refresh(selector: SessionSelector): Promise<void>
    /**
     * The connections of these sessions to all processes: to this one as it is now, to the others as they said last, which
     * is moments ago. Those of a process that was killed are among them for up to 15 seconds. Never rejects; with
     * `everyone` it takes as long, and as much memory, as there are connections.
     */
    list(selector: SessionSelector): Promise<SessionList>
  }
  /**
   * Says that records may have been written in a way that no change source sees: their views on every process are brought
   * up to date. Without a filter all views of the entity are queried again. With one, those are that can show a record
   * which matches, and every record that matches by now is read again for all views. A record that matched before and
   * does not now is found where a view shows it that can show such records; one that has moved into the view of others
   * is found by naming its new place, too: `{ projectId: { in: [7, 8] } }`. Session rules and `dependsOn` of the entity
   * count every record as changed. The filter may name every field of the store, and the lookups of the resource.
   *
   * Resolves when the views of this process show what the store held at the call. Rejects with an `RtapiError`:
   * `bad_request` for an unknown resource or a filter that cannot be read; `timeout` or `unavailable` if the store
   * cannot be asked which records match, and then nothing has been announced; `unavailable` if the channel layer has not
   * taken it, and then this process has caught up and others may not have.
   */
  touch(...touched: TouchArguments<Resources[number]>): Promise<void>
  /** What is held now, for tests and operators. */
  stats(): ApiStats
  /** Says `goodbye` 4452 to every client, ends the change sources and closes the layer. */
  close(): Promise<void>
  /** Never there at run time: carries the types to the client. */
  readonly '~resources'?: Resources
}

export interface ApiStats {
  readonly connections: number
  readonly subscriptions: number
  readonly feeds: number
  readonly groups: number
  readonly timers: number
}
