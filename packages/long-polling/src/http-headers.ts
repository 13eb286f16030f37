/** The headers of the protocol over HTTP. */
export const httpHeaders = {
  /** The session that a frame belongs to. */
  session: 'rtapi-session',
  /** The number of the client's frame, from 1. */
  sequence: 'rtapi-sequence',
  /** The last frame that the client has; with it, the answer to a frame brings those behind. */
  cursor: 'rtapi-cursor',
  /**
   * A random text, chosen by the client, by which a repeated opening is known. A client may send it with all requests of
   * the session, so that a balancer has something by which to keep them on one server.
   */
  open: 'rtapi-open',
} as const
