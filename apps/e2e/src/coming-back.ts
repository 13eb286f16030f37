import type { Key } from '@rtapi/core/protocol'
import type { BoardLine } from '../../board/src/board-line.ts'
import { ScriptClient } from './script-client.ts'
import { type AnyClient, type LinkName, type TransportName, links } from './transports.ts'
import { type SubscribeFields, WireClient } from './wire-client.ts'

/** What was had before. */
interface Before {
  readonly token: string
  readonly query: SubscribeFields
  readonly view: { readonly position: string | undefined; readonly keys: readonly Key[] }
}

/** What `comeBack` answers to credentials that count no more. */
export const refusal: RegExp = /^(4401 |401 |1006 .*\b401\b.*unauthenticated)/

/**
 * Tries to go on with a view of tasks after the connection was ended, by the same credentials and from the same position.
 * @returns how that ended, and in words what else was heard.
 */
export async function comeBack(
  line: BoardLine,
  transport: TransportName,
  client: AnyClient,
  { token, query, view }: Before,
): Promise<string> {
  if (client instanceof ScriptClient) return client.comeBack()
  const since = view.position === undefined ? {} : { since: view.position, have: [...view.keys] }
  const again = new WireClient(line, {
    token,
    open: links[transport as LinkName],
    first: [{ type: 'subscribe', id: 'again', resource: 'tasks', ...query, ...since }],
  })
  const { code, reason } = await again.closed
  const heard = again.messages.filter(({ type }) => type !== 'goodbye')
  return heard.length === 0 ? `${code} ${reason}` : `was sent ${JSON.stringify(heard)}`
}
