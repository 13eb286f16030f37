import type { SessionInfo } from './api.ts'
import type { Connection } from './connection.ts'
import { isObject } from './runtime.ts'
import type { SessionSelector } from './session-rule.ts'

/** What others may know of a connection. */
export type PresentInfo = Omit<SessionInfo, 'process' | 'subscriptions'>

/** The connections of a process under one label. */
export interface PresentConnections {
  readonly count: number
  /** As many of them as are named. */
  readonly named: readonly PresentInfo[]
}

export function userLabel(user: string | number): string {
  return `u${JSON.stringify(user)}`
}

/**
 * Under which labels a process says that it has this connection: first that of its user, or of nobody else where it has
 * none, then that of its session.
 */
export function labelsOf({ id, session }: Connection): readonly string[] {
  const main = session.user === null ? `c${id}` : userLabel(session.user.id)
  return session.id === undefined ? [main] : [main, `s${session.id}`]
}

/** The labels that hold what is asked for, or all. */
export function labelsFor(selector: SessionSelector): readonly string[] | 'all' {
  if ('user' in selector) return [userLabel(selector.user)]
  return 'session' in selector ? [`s${selector.session}`] : 'all'
}

/** @param most - how many connections are named; nothing is said if there are none. */
export function presentText(connections: Iterable<Connection>, most: number): string | undefined {
  let count = 0
  const named: PresentInfo[] = []
  for (const { info } of connections) {
    if (info === undefined) continue
    if (count++ >= most) continue
    const { subscriptions: _, ...present } = info
    named.push(present)
  }
  return count === 0 ? undefined : JSON.stringify({ count, named })
}

/** Nothing, if no process of this version has written it. */
export function parsePresent(text: string): PresentConnections | undefined {
  try {
    const parsed: unknown = JSON.parse(text)
    if (!isObject(parsed) || !('count' in parsed) || !('named' in parsed)) return undefined
    const { count, named } = parsed
    if (typeof count !== 'number' || !Array.isArray(named)) return undefined
    return { count, named: named.filter(isPresentInfo) }
  } catch {
    return undefined
  }
}

/** What one process says of the connections that are asked for. `isWhole`: it names all of them. */
export function connectionsIn(
  values: ReadonlyMap<string, string>,
  selector: SessionSelector,
): { readonly found: readonly PresentInfo[]; readonly isWhole: boolean } {
  const found: PresentInfo[] = []
  let isWhole = true
  for (const [label, text] of values) {
    // Whoever is under the label of a session is under that of a user too, or under one of its own.
    if (!('session' in selector) && label.startsWith('s')) continue
    const present = parsePresent(text)
    if (present === undefined || present.named.length < present.count) isWhole = false
    for (const info of present?.named ?? []) if (isSelected(info, selector)) found.push(info)
  }
  return { found, isWhole }
}

function isSelected({ user, session }: PresentInfo, selector: SessionSelector): boolean {
  if (selector.except !== undefined && session === selector.except) return false
  if ('user' in selector) return user === selector.user
  return !('session' in selector) || session === selector.session
}

function isPresentInfo(value: unknown): value is PresentInfo {
  if (!isObject(value)) return false
  const { connection, user, session, transport, remoteAddress, openedAt, expiresAt } = value as Record<string, unknown>
  return (
    typeof connection === 'string' &&
    (user === null || typeof user === 'string' || typeof user === 'number') &&
    isOptional(session, 'string') &&
    typeof transport === 'string' &&
    isOptional(remoteAddress, 'string') &&
    typeof openedAt === 'number' &&
    isOptional(expiresAt, 'number')
  )
}

function isOptional(value: unknown, type: 'string' | 'number'): boolean {
  return value === undefined || typeof value === type
}
