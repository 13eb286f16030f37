import { createdKey } from './replies.ts'
import { type AnyClient, type LinkName, type TransportName, connectOver, links } from './transports.ts'
import { type WireClient, connect } from './wire-client.ts'
import type { Person, World } from './world.ts'

/** Who a client is; `undefined` is nobody. */
type Role = Person | undefined

/** What a scenario plays on: clients of one transport, which all go when it is over. */
export interface Stage {
  readonly world: World
  readonly transport: TransportName
  /** A client of the n-th board. */
  readonly client: (role: Role, node: number) => Promise<AnyClient>
  /** The same with what only a lasting connection has. */
  readonly link: (role: Role, node: number) => Promise<WireClient>
  /** Sees to a client that the scenario has made itself. */
  readonly add: <C extends { close(): Promise<unknown> }>(client: C) => C
}

/** Plays one scenario over a transport. */
export async function play(
  world: World,
  transport: TransportName,
  scenario: (stage: Stage) => Promise<void>,
): Promise<void> {
  const clients: { close(): Promise<unknown> }[] = []
  const add: Stage['add'] = (client) => {
    clients.push(client)
    return client
  }
  const credentials = (role: Role): { readonly token?: string } =>
    role === undefined ? {} : { token: world.token(role) }
  try {
    await scenario({
      world,
      transport,
      add,
      client: async (role, node) => add(await connectOver(transport, world.node(node).line, credentials(role).token)),
      async link(role, node) {
        const open = links[transport as LinkName]
        return add(await connect(world.node(node).line, { open, ...credentials(role) }))
      },
    })
  } finally {
    await Promise.all(clients.map((client) => client.close()))
  }
}

/** Creates a record and answers its key. */
export async function create(
  client: Pick<AnyClient, 'request'>,
  resource: string,
  data: Readonly<Record<string, string | number | boolean | null>>,
): Promise<number> {
  return createdKey(await client.request(resource, 'create', { data }))
}

/** Changes a record. @throws Error if it is refused. */
export async function update(
  client: Pick<AnyClient, 'request'>,
  resource: string,
  key: number,
  data: Readonly<Record<string, string | number | boolean | null>>,
): Promise<void> {
  const reply = await client.request(resource, 'update', { key, data })
  if (!reply.ok) throw new Error(`not updated: ${JSON.stringify(reply.error)}`)
}

/** Deletes a record. @throws Error if it is refused. */
export async function remove(client: Pick<AnyClient, 'request'>, resource: string, key: number): Promise<void> {
  const reply = await client.request(resource, 'delete', { key })
  if (!reply.ok) throw new Error(`not deleted: ${JSON.stringify(reply.error)}`)
}
