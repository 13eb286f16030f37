import type { ClientClock } from './client-clock.ts'

/** What a heartbeat does. */
export interface HeartbeatActions {
  /** Asks the server for a sign of life. */
  ping(): void
  /** The server does not answer. */
  dead(): void
}

/**
 * Notices a link that is open but no longer carries anything. The server pings after `interval` of silence; when that
 * is late, the client pings, and after as long again in silence the link is dead: `interval` + `timeout` in all. A timer
 * that comes late, as after a sleep of the machine, gives the link its second chance as well.
 */
export class Heartbeat {
  readonly #clock: ClientClock
  readonly #actions: HeartbeatActions
  #patience = 0
  #grace = 0
  #last = 0
  #cancel: (() => void) | undefined

  constructor(clock: ClientClock, actions: HeartbeatActions) {
    this.#clock = clock
    this.#actions = actions
  }

  /** Begins to listen. `interval` and `timeout` in milliseconds, as the server's `welcome` gave them. */
  start({ interval, timeout }: { readonly interval: number; readonly timeout: number }): void {
    this.#grace = timeout / 2
    this.#patience = interval + this.#grace
    this.heard()
    this.#listen(this.#patience)
  }

  /** A frame came, whatever it holds. */
  heard(): void {
    this.#last = this.#clock.monotonic()
  }

  /** Asks for a sign of life now, if the heartbeat runs. */
  probe(): void {
    if (this.#cancel === undefined) return
    this.#cancel()
    const asked = this.#clock.monotonic()
    this.#last = Math.min(this.#last, asked - 1)
    this.#actions.ping()
    this.#cancel = this.#clock.setTimer(this.#grace, () => {
      if (this.#last < asked) this.#actions.dead()
      else this.#listen(this.#left)
    })
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  /** Milliseconds that may yet pass in silence. */
  get #left(): number {
    return this.#patience - (this.#clock.monotonic() - this.#last)
  }

  #listen(delay: number): void {
    this.#cancel = this.#clock.setTimer(delay, () => {
      if (this.#left > 0) this.#listen(this.#left)
      else this.probe()
    })
  }
}
