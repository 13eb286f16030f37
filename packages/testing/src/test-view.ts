import type { EndMessage, Key, OrderTerm, ResetReason, Row, SubscribeMessage, WireRow } from '@rtapi/core'
import type { ViewMessage, ViewState } from './view-state.ts'

/** What a view needs of its client. */
export interface ViewLink {
  wait<T>(what: string, take: () => T | undefined): Promise<T>
  unsubscribe(): void
}

type ViewMessageOf<T extends ViewMessage['type']> = Extract<ViewMessage, { readonly type: T }>

/** A live view: the rows of one subscription as the client shows them now. */
export class TestView {
  /** What was subscribed to. */
  readonly query: Omit<SubscribeMessage, 'type' | 'id'>
  readonly #state: ViewState
  readonly #link: ViewLink
  #read: number

  constructor(
    state: ViewState,
    query: Omit<SubscribeMessage, 'type' | 'id'> & { readonly id?: string },
    link: ViewLink,
  ) {
    const { id: _, ...rest } = query
    this.query = rest
    this.#state = state
    this.#link = link
    this.#read = state.log.length
  }

  get id(): string {
    return this.#state.id
  }

  /** In the order of the view, each as this session sees it. */
  get rows(): readonly Row[] {
    return this.#state.rows
  }

  /** The rows with their keys and versions. */
  get wireRows(): readonly WireRow[] {
    return this.#state.wireRows
  }

  get keys(): readonly Key[] {
    return this.#state.keys
  }

  get order(): readonly OrderTerm[] {
    return this.#state.order
  }

  get feed(): string | undefined {
    return this.#state.feed
  }

  get position(): string | undefined {
    return this.#state.position
  }

  /** Whether the rows are those of a whole snapshot; not so between a reset and the next one. */
  get whole(): boolean {
    return this.#state.whole
  }

  /** Reasons of the resets so far. */
  get resets(): readonly ResetReason[] {
    return this.#state.resets
  }

  /** There when the subscription is over. */
  get end(): EndMessage | undefined {
    return this.#state.end
  }

  /** All messages of this view so far, the snapshot too. */
  get log(): readonly ViewMessage[] {
    return this.#state.log
  }

  /** The next message of this view after the first snapshot; of a type: skips the others. It has been applied. */
  next(): Promise<ViewMessage>
  next<T extends ViewMessage['type']>(type: T): Promise<ViewMessageOf<T>>
  next(type?: ViewMessage['type']): Promise<ViewMessage> {
    return this.#link.wait(`a message ${type === undefined ? '' : `'${type}' `}of '${this.id}'`, () => {
      for (let message = this.log[this.#read]; message !== undefined; message = this.log[this.#read]) {
        this.#read++
        if (type === undefined || message.type === type) return message
      }
      return undefined
    })
  }

  /** Waits until the view is whole and its rows are as wanted; answers them. */
  until(wanted: (rows: readonly Row[]) => boolean): Promise<readonly Row[]> {
    return this.#link.wait(`rows of '${this.id}' as wanted; they are ${JSON.stringify(this.rows).slice(0, 500)}`, () =>
      this.whole && wanted(this.rows) ? this.rows : undefined,
    )
  }

  /** Ends the subscription and waits for the server's `end`. */
  unsubscribe(): Promise<EndMessage> {
    this.#link.unsubscribe()
    return this.#link.wait(`the end of '${this.id}'`, () => this.end)
  }
}
