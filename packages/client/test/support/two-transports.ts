import type { LiveView } from '../../src/index.ts'
import type { ClientOptions } from '../../src/index.ts'
import { type Comment, type Scripted, scriptedClient, wireRow } from './scripted-client.ts'
import { ScriptedTransport } from './scripted-transport.ts'
import { changes, snapshot } from './shown-view.ts'

export interface TwoTransports extends Omit<Scripted, 'transport'> {
  readonly ws: ScriptedTransport
  readonly polling: ScriptedTransport
}

/** A client that prefers one transport to another. */
export function twoTransports(options: Partial<ClientOptions> = {}): TwoTransports {
  const ws = new ScriptedTransport('ws')
  const polling = new ScriptedTransport('long-polling')
  const { client, clock, reported } = scriptedClient({ transport: [ws, polling], ...options })
  return { client, clock, reported, ws, polling }
}

export interface FallenBack extends TwoTransports {
  /** Shows the comments 1 and 2, at position p1. */
  readonly view: LiveView<Comment>
  /** Every status that the view has had. */
  readonly statuses: readonly string[]
  /** Every status that the connection has had since the fallback. */
  readonly connectionStatuses: readonly string[]
  /** The id of the view's subscription. */
  readonly id: string
}

/** The same, which has fallen back to the other one and is live there. */
export function fallenBack(options: Partial<ClientOptions> = {}): FallenBack {
  const two = twoTransports(options)
  const { client, ws, polling } = two
  client.connect()
  ws.link.drop()
  polling.link.open().welcome({ user: 'ann' })
  polling.link.take()
  const view = client.comments.live()
  const { id } = polling.link.takeSubscribe()
  polling.link.say(snapshot(id, [wireRow(1), wireRow(2)]))
  const statuses: string[] = []
  view.subscribe((_, { status }) => void (statuses.at(-1) === status || statuses.push(status)))
  const connectionStatuses: string[] = []
  client.connection.subscribe(({ status }) => void connectionStatuses.push(status))
  return { ...two, view, statuses, connectionStatuses, id }
}

/** The same, whose view has just begun on a link of the preferred transport. */
export function carrying(options: Partial<ClientOptions> = {}): FallenBack & { readonly newId: string } {
  const fallen = fallenBack(options)
  fallen.clock.advance(10_000)
  fallen.ws.link.open().welcome({ user: 'ann' })
  return { ...fallen, newId: fallen.ws.link.takeSubscribe().id }
}

/** Answers a resuming view with one new row and a new position, under a handle which the link before has for another. */
export function resumed(id: string, row = 3, position = 'p2'): Record<string, unknown>[] {
  return [snapshot(id, [wireRow(row)], { position }), changes(position, position)]
}
