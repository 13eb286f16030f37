import type { ClientMessage, ServerMessage } from '@rtapi/core/protocol'

/** A message that passed between this window and the server. */
export interface LoggedMessage {
  readonly number: number
  readonly at: Date
  readonly direction: 'in' | 'out'
  readonly message: ClientMessage | ServerMessage
}

const most = 300
let messages: readonly LoggedMessage[] = []
let count = 0
let pending: LoggedMessage[] = []
const listeners = new Set<() => void>()

/** Keeps what passes; the page is told once a frame of the screen, however much passes in between. */
export function recordFrame(direction: 'in' | 'out', frame: readonly (ClientMessage | ServerMessage)[]): void {
  if (pending.length === 0) setTimeout(publish, 50)
  for (const message of frame) pending.push({ number: ++count, at: new Date(), direction, message })
}

function publish(): void {
  messages = [...messages, ...pending].slice(-most)
  pending = []
  for (const listener of listeners) listener()
}

/** The last messages, oldest first, as a store for `useSyncExternalStore`. */
export const frameLog = {
  subscribe: (listener: () => void): (() => void) => {
    listeners.add(listener)
    return () => listeners.delete(listener)
  },
  getSnapshot: (): readonly LoggedMessage[] => messages,
  clear: (): void => {
    messages = []
    for (const listener of listeners) listener()
  },
}
