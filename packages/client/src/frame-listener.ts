import type { ClientMessage, ServerMessage } from '@rtapi/core/protocol'

/** Hears of messages: those of one frame, in or out. */
export type FrameListener = (direction: 'in' | 'out', messages: readonly (ClientMessage | ServerMessage)[]) => void

/** A message as it may be shown: what is secret in it is blanked out. */
export function redact<M extends ClientMessage | ServerMessage>(message: M): M {
  return 'token' in message && typeof message.token === 'string' ? { ...message, token: '…' } : message
}
