import { type Clock, RtapiError } from '@rtapi/core'
import type { Deadlines } from './deadlines.ts'
import type { Pauses } from './pauses.ts'
import { type Node, type PlainClient, type Topology, noTimeout, onDeath, onceOnly } from './topology.ts'

/** What a single master needs of the layer. */
export interface MasterSurroundings {
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly pauses: Pauses
  /** Told of the first failure of each outage. */
  failed(error: unknown): void
}

/** Who the master is: always the same server, or whom Sentinel names. */
export interface MasterSource {
  /** Opens what it takes to find out; `changed` is called when it may be another one. */
  open(changed: () => void): Promise<void>
  /** A client of the master, to be duplicated. */
  find(): Promise<PlainClient>
  close(): Promise<void>
}

/** One master at a time: a single server, or the one that Sentinel names. */
export class SingleMaster implements Topology {
  readonly sharded = false
  onChange: () => void = () => {}
  readonly #source: MasterSource
  readonly #around: MasterSurroundings
  #client: PlainClient | undefined
  #connecting = false
  #answeredAt = 0

  constructor(source: MasterSource, around: MasterSurroundings) {
    this.#source = source
    this.#around = around
  }

  async open(): Promise<void> {
    await this.#source.open(() => this.#renew())
    await this.#connect()
  }

  send(_key: string, args: readonly string[]): Promise<unknown> {
    const client = this.#client
    if (client === undefined) return Promise.reject(new RtapiError('unavailable', 'Redis is not connected'))
    const reply = client.sendCommand(args, noTimeout)
    reply.then(
      () => void (this.#answeredAt = this.#around.clock.monotonic()),
      (error: unknown) => {
        // A name or a proxy may lead to the new master by now.
        if (isReadOnly(error) && this.#client === client) this.#renew()
      },
    )
    return reply
  }

  async nodeOf(): Promise<Node> {
    return { address: 'master', template: await this.#source.find() }
  }

  timedOut(delay: number): void {
    // A server that is slow answers still, if late: only silence is worth a new connection.
    if (this.#around.clock.monotonic() - this.#answeredAt >= delay) this.#client?.destroy()
  }

  async close(): Promise<void> {
    const client = this.#client
    this.#client = undefined
    client?.destroy()
    await this.#source.close()
  }

  /** The master may be another one: every connection is made anew. */
  #renew(): void {
    this.onChange()
    this.#client?.destroy()
  }

  async #connect(): Promise<void> {
    const { deadlines, pauses } = this.#around
    const template = await this.#source.find()
    if (pauses.closed) return
    const client = onceOnly(template, { connectTimeout: 2_000 })
    onDeath(client, (error) => {
      if (this.#client !== client) return
      this.#client = undefined
      if (pauses.closed) return
      this.#around.failed(error)
      void this.#reconnect()
    })
    try {
      await deadlines.run('accept a connection', client.connect())
    } catch (error) {
      client.destroy()
      throw error
    }
    if (pauses.closed) return client.destroy()
    this.#client = client
    this.#answeredAt = this.#around.clock.monotonic()
  }

  async #reconnect(): Promise<void> {
    if (this.#connecting) return
    this.#connecting = true
    for (let failures = 1; this.#client === undefined; failures++) {
      await this.#around.pauses.beforeAttempt(failures)
      if (this.#around.pauses.closed) break
      // What the outage began with has been told.
      await this.#connect().catch(() => undefined)
    }
    this.#connecting = false
  }
}

/** A server that refuses writes since it is, or has become, a replica. */
function isReadOnly(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('READONLY')
}
