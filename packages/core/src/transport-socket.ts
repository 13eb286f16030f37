/** A frame encoded once and shared by every socket it goes to. Nothing in it is peculiar to one client. */
export interface EncodedFrame {
  readonly data: string | Uint8Array
  /** A place where the transport keeps its own wire form of the frame, built when first needed. */
  wire?: unknown
}

/**
 * What a transport hands to core for one client.
 *
 * `send` MUST keep the order of frames, MUST NOT throw or wait, and does nothing after `close` or after the link is
 * gone. A transport may collect what it is given during a tick and write it at the end of that tick; `bufferedAmount`
 * counts these bytes too. `close` sends what was given before, then closes; a second `close` does nothing.
 */
export interface TransportSocket {
  readonly id: string
  send(frame: EncodedFrame): void
  /** Bytes accepted by `send` that the operating system has not taken yet. */
  readonly bufferedAmount: number
  /** `code` as in `closeCodes`; `reason` at most 32 ASCII characters. */
  close(code: number, reason: string): void
}

/**
 * What core hands back for it. The transport MUST call `receive` once per frame in the order of arrival, and `closed`
 * exactly once, also after its own `close`. None of them throws or waits.
 */
export interface SocketEvents {
  receive(data: string | Uint8Array): void
  /** The socket has room again: `bufferedAmount` has gone down to (almost) zero. */
  drained(): void
  closed(code: number, reason: string): void
}
