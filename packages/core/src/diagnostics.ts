import type { ErrorCode } from './protocol.ts'

/** Whose connection something happened on. */
interface Whose {
  readonly connection: string
  /** Absent: nobody is signed in. */
  readonly user?: string | number
}

/**
 * What happens in an API, for metrics and traces. No event holds a payload, a key of a record, a filter or a token; names
 * that clients make up are cut to 64 printable characters. Durations are milliseconds.
 */
export type Diagnostic =
  /** A client said `hello`, and it is known who it is. */
  | (Whose & { readonly type: 'connection.opened'; readonly transport: string; readonly session?: string })
  | (Whose & {
      readonly type: 'connection.closed'
      readonly code: number
      readonly reason: string
      readonly duration: number
    })
  /** A request was answered; `duration` counts from its arrival, waiting for earlier writes included. */
  | (Whose & {
      readonly type: 'request.answered'
      readonly resource: string
      readonly action: string
      readonly code: 'ok' | ErrorCode
      readonly duration: number
    })
  /** A message was refused unread or unserved. */
  | (Whose & { readonly type: 'message.refused'; readonly code: ErrorCode })
  /** A live view has its snapshot. */
  | { readonly type: 'subscription.opened'; readonly resource: string; readonly rows: number }
  /** The server ended a subscription. */
  | { readonly type: 'subscription.ended'; readonly resource: string; readonly code: ErrorCode }
  /** This process obeys a command about sessions. */
  | {
      readonly type: 'session.command'
      readonly command: 'end' | 'refresh'
      readonly user?: string | number
      readonly session?: string
      readonly reason: string
    }
  /** The event loop is late so often that new work is refused, or no longer. */
  | { readonly type: 'load.behind'; readonly isBehind: boolean }
  /** Connections were closed since all of them together held more unsent bytes than `limits.sendBudget`. */
  | { readonly type: 'load.shed'; readonly connections: number; readonly bytes: number }

/** Receives every event as it happens. It must not throw; if it does, that is reported. It is called often: be quick. */
export type Diagnose = (event: Diagnostic) => void
