/**
 * What the client needs of a transport: one link to the server which carries frames both ways, in order. WebSocket is
 * built in (`webSocketTransport`); socket.io, long polling or server-sent events fit behind the same seam. A transport
 * knows nothing of the protocol: reconnecting, credentials, heartbeats and resuming are the client's, so that a view
 * goes on from its position when the next link uses another transport.
 */

/** What a transport is asked to open, and whom it tells. */
export interface TransportRequest {
  /** The address given to `createClient`. A transport with an address of its own ignores it. */
  readonly url: string
  /** Subprotocols on offer, e.g. `rtapi.v1.json`. */
  readonly protocols: readonly string[]
  /** Frames can be sent. Called at most once. */
  onOpen(): void
  /** A frame came, as text. */
  onFrame(frame: string): void
  /** The link is gone, or could not be opened. `code` as the server or the platform gave it; 1006 if there is none. */
  onClose(code: number, reason: string): void
}

/** One link. */
export interface TransportLink {
  /** Sends a frame. MUST keep the order, MUST NOT throw or wait, and does nothing once the link is gone. */
  send(frame: string): void
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
  connect(request: TransportRequest): TransportLink
}
