import type { ServerMessage } from '@rtapi/core/protocol'
import { WireView } from './wire-view.ts'

/** Milliseconds for what should happen at once, on a machine that is busy with much else. */
const patience = 20_000

/** All that a client has received, and whoever waits for more. */
export class Inbox {
  readonly messages: ServerMessage[] = []
  readonly #views: WireView[] = []
  readonly #listeners = new Set<() => void>()
  /** A frame that could not be taken. */
  #failure: Error | undefined

  /** The view of a subscription, which takes its messages from now on. @param before - the one it goes on from. */
  view(id: string, before?: WireView): WireView {
    const view = new WireView(id, (condition, what) => this.wait(condition, what), before)
    this.#views.push(view)
    return view
  }

  take(frame: readonly ServerMessage[]): void {
    for (const message of frame) {
      this.messages.push(message)
      try {
        for (const view of this.#views) view.take(message)
      } catch (error) {
        this.#failure ??= error as Error
      }
    }
    for (const look of this.#listeners) look()
  }

  /** The first message, of those received so far or to come, that is meant. */
  async until<M extends ServerMessage>(isMeant: (message: ServerMessage) => message is M): Promise<M> {
    let found: M | undefined
    await this.wait(() => (found = this.messages.find(isMeant)) !== undefined, 'a message')
    if (found === undefined) throw new Error('unreachable')
    return found
  }

  /** Resolves when the condition holds, which is looked at after each frame. */
  async wait(condition: () => boolean, what: string): Promise<void> {
    if (this.#holds(condition)) return
    await new Promise<void>((resolve, reject) => {
      const done = (settle: () => void): void => {
        clearTimeout(timer)
        this.#listeners.delete(look)
        settle()
      }
      const look = (): void => {
        try {
          if (this.#holds(condition)) done(resolve)
        } catch {
          done(() => reject(this.#failure ?? new Error('unreachable')))
        }
      }
      const timer = setTimeout(() => {
        const last = this.messages.slice(-5).map((message) => JSON.stringify(message))
        done(() => reject(new Error(`waited ${patience} ms for ${what}; the last messages were:\n${last.join('\n')}`)))
      }, patience)
      this.#listeners.add(look)
    })
  }

  #holds(condition: () => boolean): boolean {
    if (this.#failure !== undefined) throw this.#failure
    return condition()
  }
}
