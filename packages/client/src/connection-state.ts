import type { Report } from '@rtapi/core'
import { Listeners } from './listeners.ts'
import type { Recovery } from './subscriptions.ts'
import type { Fallback } from './transport-choice.ts'

/**
 * - `idle`: nothing has asked for the connection yet.
 * - `connecting`: for the first time, or after `closed`.
 * - `live`: the server has welcomed the client.
 * - `reconnecting`: the link was lost; the client tries again by itself.
 * - `closed`: by you, or by the server for good; `error` says why. `connect` and `authenticate` start again.
 */
export type ConnectionStatus = 'idle' | 'connecting' | 'live' | 'reconnecting' | 'closed'

/** What is known of the connection at one moment. */
export interface ConnectionState {
  readonly status: ConnectionStatus
  /** The transport in use, or tried last. */
  readonly transport: string | undefined
  /** Why a transport other than the first is in use; absent with the first. */
  readonly fallback: Fallback | undefined
  /** Who the server says is signed in. */
  readonly user: string | number | undefined
  /** Why the last link or attempt failed; absent while all is well. */
  readonly error: Error | undefined
  /** Milliseconds from this state on until the next attempt. */
  readonly retryIn: number | undefined
  /** How the views came back after the link was last lost; absent if none had rows to keep. */
  readonly recovery: Recovery | undefined
}

/** The state of the connection as a store: what a badge shows. */
export interface ConnectionStore {
  readonly status: ConnectionStatus
  readonly getSnapshot: () => ConnectionState
  /** Calls the listener at once, and soon after each change; changes of one moment are one call. Returns its undo. */
  readonly subscribe: (listener: (state: ConnectionState) => void) => () => void
}

/** The store, with its inside. */
export class ConnectionStateStore implements ConnectionStore {
  #state: ConnectionState = {
    status: 'idle',
    transport: undefined,
    fallback: undefined,
    user: undefined,
    error: undefined,
    retryIn: undefined,
    recovery: undefined,
  }
  readonly #listeners: Listeners<[ConnectionState]>
  #telling = false

  constructor(report: Report) {
    this.#listeners = new Listeners(report)
  }

  get status(): ConnectionStatus {
    return this.#state.status
  }

  readonly getSnapshot = (): ConnectionState => this.#state

  readonly subscribe = (listener: (state: ConnectionState) => void): (() => void) => {
    const undo = this.#listeners.add(listener)
    this.#listeners.call(listener, this.#state)
    return undo
  }

  /** Changes what is given and keeps the rest. Listeners hear of it later: whoever sets is in the midst of something. */
  set(change: Partial<ConnectionState>): void {
    this.#state = { ...this.#state, ...change }
    if (this.#telling) return
    this.#telling = true
    queueMicrotask(() => {
      this.#telling = false
      this.#listeners.emit(this.#state)
    })
  }
}
