import type { Api, Resource } from '@rtapi/core'
import type { Row, WireRow } from '@rtapi/core/protocol'
import { type Client, type ClientOptions, createClient } from '../../src/index.ts'
import { FakeClock } from './fake-clock.ts'
import { ScriptedTransport } from './scripted-transport.ts'

/** A comment, as the tests' only resource has them. */
export interface Comment extends Row {
  readonly id: number
  readonly topicId: number
  readonly text: string
}

interface CommentTypes {
  readonly row: Comment
  readonly where: { readonly topicId?: number }
  readonly create: { readonly topicId: number; readonly text: string }
  readonly update: { readonly text?: string }
  readonly params: 'topicId'
  readonly actions: {
    readonly archive: { readonly input: undefined; readonly output: boolean; readonly record: true }
    readonly count: { readonly input: { readonly topicId: number }; readonly output: number; readonly record: false }
  }
}

type CommentApi = Api<readonly [Resource<'comments', CommentTypes>]>

export interface Scripted {
  readonly client: Client<CommentApi>
  readonly transport: ScriptedTransport
  readonly clock: FakeClock
  /** What listeners threw. */
  readonly reported: unknown[]
}

/** A client whose server, time and chance are the test's. Chance is always one half. */
export function scriptedClient(options: Partial<ClientOptions> = {}): Scripted {
  const transport = new ScriptedTransport()
  const clock = new FakeClock()
  const reported: unknown[] = []
  const client = createClient<CommentApi>({
    url: 'ws://server/rt',
    transport,
    clock,
    random: () => 0.5,
    report: (error) => reported.push(error),
    ...options,
  })
  return { client, transport, clock, reported }
}

/** The same, with the server's welcome behind it. */
export function liveClient(options: Partial<ClientOptions> = {}): Scripted {
  const scripted = scriptedClient(options)
  scripted.client.connect()
  scripted.transport.link.open().welcome()
  scripted.transport.link.take()
  return scripted
}

/** A comment on the wire. */
export function wireRow(id: number, text = `text ${id}`): WireRow & { readonly data: Comment } {
  return { key: id, data: { id, topicId: 7, text } }
}

/** Lets promises and microtasks that are ready go on. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve()
}
