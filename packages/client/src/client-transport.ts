import type { ClientClock } from './client-clock.ts'
import type { ClientCodec } from './client-codec.ts'

/**
 * What the client needs of a transport: one link to the server which carries frames both ways, in order. A transport knows
 * nothing of the protocol: reconnecting, credentials, heartbeats and resuming are the client's, so that a view goes on
 * from its position when the next link uses another transport.
 */

/** What a transport is asked to open, and whom it tells. */
export interface TransportRequest {
  /** The address given to `createClient`. A transport with an address of its own ignores it. */
  readonly url: string
  /** Name of the codec that writes the frames, for transports which tell it to the server in a way of their own. */
  readonly codec: string
  /** Subprotocols on offer, e.g. `rtapi.v1.json`. */
  readonly protocols: readonly string[]
  /** For whatever the transport waits for: tests bring a clock of their own. */
  readonly clock: ClientClock
  /**
   * The token that the server has taken last, `null` if none, for transports which send credentials with each request.
   * The first frame carries it as well.
   */
  token(): string | null
  /** Frames can be sent. Called at most once. */
  onOpen(): void
  /** A frame came, as the server's codec has written it. */
  onFrame(frame: string | Uint8Array): void
  /**
   * The link is gone, or could not be opened. `code` as the server or the platform gave it, 1006 if there is none.
   * `after`: milliseconds that the server wants the client to wait.
   */
  onClose(code: number, reason: string, after?: number): void
}

/** One link. */
export interface TransportLink {
  /** Sends a frame. MUST keep the order, MUST NOT throw or wait, and does nothing once the link is gone. */
  send(frame: string | Uint8Array): void
  /** Closes the link, sending first what was given before. A second call does nothing. */
  close(code: number, reason: string): void
}

/**
 * Opens links.
 *
 * `connect` MUST return before it calls back. It MUST call `onClose` exactly once for each link, also for one that never
 * opened, unless the client has called `close`: after that it MUST NOT call back at all. It MUST throw only where trying
 * again cannot help, such as an address that is none: the client then gives up.
 */
export interface ClientTransport {
  /** `ws`, `long-polling` …; shown in the state of the connection. */
  readonly name: string
  /** For a transport that can carry one codec alone. @default that of the client */
  readonly codec?: ClientCodec
  connect(request: TransportRequest): TransportLink
}
