import type { Report } from '@rtapi/core'
import type { Key } from '@rtapi/core/protocol'
import { Listeners } from './listeners.ts'

/**
 * - `loading`: no whole snapshot yet, or what was shown had to be dropped.
 * - `live`: the rows are current.
 * - `stale`: the rows are those of before, while the client reconnects or the server takes a new snapshot.
 * - `ended`: closed by you, by the server, or with its connection; `error` says why. A view that ended with its
 *   connection starts again when the client connects again.
 */
export type ViewStatus = 'loading' | 'live' | 'stale' | 'ended'

/**
 * The current rows of a query: whole, ordered, and kept up to date until it is closed. Also a store as
 * `useSyncExternalStore` expects it: `subscribe` and `getSnapshot` need no `this`.
 */
export interface LiveView<R> extends AsyncIterable<readonly R[]> {
  /** Never mutated: a change makes another array, in which unchanged rows are the same objects. */
  readonly rows: readonly R[]
  readonly status: ViewStatus
  /** Why the view ended, or why it is being tried again. */
  readonly error: Error | undefined
  /** Resolves with the first whole snapshot; rejects if the view ends before. */
  readonly ready: Promise<void>
  /**
   * Calls the listener at once if there is something to show, then after each change of `rows`, `status` or `error`;
   * returns its undo. All changes of one frame are one call.
   */
  readonly subscribe: (listener: (rows: readonly R[], view: LiveView<R>) => void) => () => void
  readonly getSnapshot: () => readonly R[]
  /** The row with this key, if the view has it. */
  get(key: Key): R | undefined
  /** Ends the view. Its rows stay as they are. */
  close(): void
  /**
   * The rows now and after each change; who is slow gets the latest alone. Ends when the view is closed, throws if it
   * ended with an error. Leaving the loop does not close the view.
   */
  [Symbol.asyncIterator](): AsyncIterator<readonly R[], undefined>
}

/** What a view shows at one moment. */
export interface ViewState<R> {
  readonly rows: readonly R[]
  readonly status: ViewStatus
  readonly error: Error | undefined
}

/** What stands behind a view. */
export interface ViewSource<R> {
  readonly state: ViewState<R>
  get(key: Key): R | undefined
  close(): void
}

/** The face of a live view: holds what is shown and tells whoever listens. */
export class ViewStore<R> implements LiveView<R> {
  readonly #source: ViewSource<R>
  readonly #listeners: Listeners<[rows: readonly R[], view: LiveView<R>]>
  #state: ViewState<R>
  #ready = new Ready()

  constructor(source: ViewSource<R>, report: Report) {
    this.#source = source
    this.#state = source.state
    this.#settleReady()
    this.#listeners = new Listeners(report)
  }

  get rows(): readonly R[] {
    return this.#state.rows
  }

  get status(): ViewStatus {
    return this.#state.status
  }

  get error(): Error | undefined {
    return this.#state.error
  }

  get ready(): Promise<void> {
    return this.#ready.promise
  }

  readonly getSnapshot = (): readonly R[] => this.#state.rows

  readonly subscribe = (listener: (rows: readonly R[], view: LiveView<R>) => void): (() => void) => {
    const undo = this.#listeners.add(listener)
    if (this.#state.status !== 'loading') this.#listeners.call(listener, this.#state.rows, this)
    return undo
  }

  get(key: Key): R | undefined {
    return this.#source.get(key)
  }

  close(): void {
    this.#source.close()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<readonly R[], undefined> {
    let last: readonly R[] | undefined
    let wake = (): void => undefined
    const undo = this.#listeners.add(() => wake())
    try {
      for (;;) {
        const { rows, status, error } = this.#state
        // A view that had rows and lost them says so; one that has none yet says nothing.
        const something = last !== undefined || (status !== 'loading' && this.#ready.done)
        if (rows !== last && something) {
          last = rows
          yield rows
        } else if (status === 'ended') {
          if (error !== undefined) throw error
          return undefined
        } else {
          await new Promise<void>((resolve) => (wake = resolve))
        }
      }
    } finally {
      undo()
    }
  }

  /** Shows another state. If it is another, answers how to tell the listeners: when all views show theirs. */
  show(next: ViewState<R>): (() => void) | undefined {
    const { rows, status, error } = this.#state
    if (next.rows === rows && next.status === status && next.error === error) return undefined
    this.#state = next
    this.#settleReady()
    return () => this.#listeners.emit(this.#state.rows, this)
  }

  #settleReady(): void {
    const { status, error } = this.#state
    if (status === 'live') this.#ready.resolve()
    else if (status === 'ended') this.#ready.reject(error ?? new Error('the view was closed before it was whole'))
    else if (this.#ready.failed) this.#ready = new Ready()
  }
}

/** A promise that can be settled from outside, and that nobody needs to look at. */
class Ready {
  readonly promise: Promise<void>
  done = false
  failed = false
  #settle: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
    this.promise.catch(() => undefined)
  }

  resolve(): void {
    this.done ||= !this.failed
    this.#settle?.resolve()
  }

  reject(error: Error): void {
    this.failed ||= !this.done
    this.#settle?.reject(error)
  }
}
