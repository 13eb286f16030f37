import { randomUUID } from 'node:crypto'
import { setTimeout as until } from 'node:timers/promises'
import type { ExpiringMessage, ReplyMessage, ServerMessage, WelcomeMessage } from '@rtapi/core/protocol'
import { expect } from 'vitest'
import { comeBack, refusal } from './coming-back.ts'
import type { BoardLine } from '../../board/src/board-line.ts'
import type { Row } from './matrix.ts'
import { outcomeOf } from './replies.ts'
import { create } from './stage.ts'
import { type LinkName, connectOver, links } from './transports.ts'
import { type WireClient, connect } from './wire-client.ts'
import type { WireView } from './wire-view.ts'
import type { World } from './world.ts'

/** Seconds for which a sign-in holds: two clients of each transport have to be there by the time that it is warned of. */
const lifetime = 8
/** Milliseconds after the end of a sign-in by which nothing is shown any more. */
const latest = 1_000
const expired = 4451

/** A view that is to outlive the sign-in it was opened with. */
interface Renewed {
  readonly client: WireClient
  readonly view: WireView
}

/**
 * Over all transports of a row at once: who lets a sign-in run out is shown nothing more from then on, is closed in the end
 * and not let in again; who renews it in place keeps the views. Takes some 12 seconds, most of them waiting.
 */
export async function expire(world: World, { layer, transports }: Row): Promise<void> {
  // It issues the short tokens, and the clients are there; over Redis the writes are elsewhere.
  const board = await world.addNode('--token-ttl', String(lifetime))
  const alice = await connectOver('ws', (layer === 'redis' ? world.node(0) : board).line, world.token('alice'))
  const query = { where: { projectId: await create(alice, 'projects', { name: 'expiring', public: true }) } }
  const token = await board.login('bob')
  const lasting = await world.node(0).login('bob')

  const plays = transports.map(async (transport) => {
    const leaves = await connectOver(transport, board.line, token)
    const view = await leaves.subscribe('tasks', query)
    const renewals = transport === 'script' ? [] : [await renew(board.line, transport, [token, lasting])]
    const { expiresAt = 0 } = leaves.messages.find(isWelcome) ?? {}
    await until(Math.max(0, expiresAt + latest - Date.now()))

    const canary = randomUUID()
    const key = await create(alice, 'tasks', { ...query.where, title: canary })
    expect((await leaves.closed).code, transport).toBe(expired)
    expect(await comeBack(board.line, transport, leaves, { token, view, query }), transport).toMatch(refusal)
    expect(JSON.stringify(leaves.messages)).not.toContain(canary)
    for (const { view: kept } of renewals) {
      await kept.until(() => kept.rows.get(key)?.['title'] === canary)
      expect([kept.snapshots, kept.resets, kept.ended], transport).toEqual([1, [], undefined])
    }
    await Promise.all([leaves, ...renewals.map(({ client }) => client)].map((client) => client.close()))
  })
  await Promise.all(plays)
  await alice.close()

  /** Watches the same, and brings other credentials when it is warned. */
  async function renew(line: BoardLine, transport: LinkName, [first, next]: [string, string]): Promise<Renewed> {
    const client = await connect(line, { open: links[transport], token: first })
    const view = await client.subscribe('tasks', query)
    await client.until(isWarning)
    const id = client.newId()
    client.send({ type: 'auth', id, token: next })
    const reply = await client.until(
      (message): message is ReplyMessage => message.type === 'reply' && message.id === id,
    )
    expect(outcomeOf(reply), transport).toBe('ok')
    return { client, view }
  }
}

function isWelcome(message: ServerMessage): message is WelcomeMessage {
  return message.type === 'welcome'
}

function isWarning(message: ServerMessage): message is ExpiringMessage {
  return message.type === 'expiring'
}
