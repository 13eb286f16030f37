import { type CloseCode, closeCodes } from './protocol.ts'
import type { Clock } from './runtime.ts'

/** A client of a transport that can be sent away. */
export interface Drainable {
  /** Says so, closes, and tells the client to come back after so many milliseconds. */
  goodbye(code: CloseCode, reason: string, after: number): void
  /** Ends the link at once, however much the client has still to read. */
  terminate(): void
}

/** For transports: the clients that are there, and how they are sent away when the transport is closed. */
export class OpenSockets<S extends Drainable> {
  readonly #clock: Pick<Clock, 'setTimer'>
  readonly #sockets = new Set<S>()
  #draining: Promise<void> | undefined
  #onEmpty: (() => void) | undefined

  constructor(clock: Pick<Clock, 'setTimer'>) {
    this.#clock = clock
  }

  get size(): number {
    return this.#sockets.size
  }

  /** The clients are being sent away, or have been: no more are to be let in. */
  get isDraining(): boolean {
    return this.#draining !== undefined
  }

  [Symbol.iterator](): IterableIterator<S> {
    return this.#sockets.values()
  }

  add(socket: S): void {
    this.#sockets.add(socket)
  }

  /** Nothing is left of this one. */
  delete(socket: S): void {
    this.#sockets.delete(socket)
    if (this.#sockets.size === 0) this.#onEmpty?.()
  }

  /**
   * Says goodbye (4452) to all, and ends those which have not gone within `timeout` milliseconds. Settles when all have
   * gone; a second call waits for the first.
   */
  drain(timeout: number): Promise<void> {
    return (this.#draining ??= this.#drain(timeout))
  }

  async #drain(timeout: number): Promise<void> {
    for (const socket of this.#sockets) socket.goodbye(closeCodes.draining, 'draining', comeBackAfter())
    if (this.#sockets.size === 0) return
    await new Promise<void>((resolve) => {
      const stopTimer = this.#clock.setTimer(timeout, () => {
        for (const socket of this.#sockets) socket.terminate()
      })
      this.#onEmpty = () => {
        stopTimer()
        resolve()
      }
    })
  }
}

/** Milliseconds after which a client is to come back: any within five seconds, so that many do not come at once. */
export function comeBackAfter(): number {
  return Math.floor(Math.random() * 5_000)
}
