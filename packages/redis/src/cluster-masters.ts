import type { Deadlines } from './deadlines.ts'
import { type Node, type PlainClient, type Topology, noTimeout, plainOverrides } from './topology.ts'

/** The part of node-redis's cluster client that the layer uses. */
export interface ClusterClient {
  readonly _options: { readonly defaults?: { readonly socket?: object } }
  connect(): Promise<unknown>
  destroy(): void
  duplicate(overrides: object): ClusterClient
  on(event: string, listener: (argument: unknown) => void): unknown
  sendCommand(key: string, isReadonly: boolean, args: readonly string[], options: object): Promise<unknown>
  getNodeClientForKey(key: string): Promise<PlainClient>
}

/** What the masters of a cluster need of the layer. */
export interface ClusterSurroundings {
  readonly deadlines: Deadlines
  failed(error: unknown): void
}

/** The masters of a cluster. node-redis follows redirections and finds out who is in charge. */
export class ClusterMasters implements Topology {
  readonly sharded = true
  onChange: () => void = () => {}
  readonly #cluster: ClusterClient
  readonly #around: ClusterSurroundings
  #isDown = false

  constructor(template: ClusterClient, around: ClusterSurroundings) {
    const { defaults } = template._options
    this.#around = around
    this.#cluster = template.duplicate({
      ...plainOverrides,
      // How long a master is away before the others are asked who is in charge now.
      topologyRefreshOnReconnectionAttemptStrategy: 500,
      defaults: {
        ...defaults,
        ...plainOverrides,
        // A connection that does not answer is given up after five seconds, and tried again.
        pingInterval: 2_000,
        socket: { connectTimeout: 2_000, ...defaults?.socket, socketTimeout: 5_000, reconnectStrategy: backOff },
      },
    })
  }

  async open(): Promise<void> {
    this.#cluster.on('error', (error) => this.#failed(error))
    this.#cluster.on('node-error', (error) => this.#failed(error))
    this.#cluster.on('node-ready', () => {
      this.#isDown = false
    })
    await this.#around.deadlines.run('answer as a cluster', this.#cluster.connect())
  }

  send(key: string, args: readonly string[]): Promise<unknown> {
    return this.#cluster.sendCommand(key, false, args, noTimeout)
  }

  async nodeOf(key: string): Promise<Node> {
    const found = this.#cluster.getNodeClientForKey(key)
    const template = await this.#around.deadlines.run('name a master', found)
    const { host = '', port = '' } = (template.options?.socket ?? {}) as { host?: string; port?: number }
    return { address: `${host}:${port}`, template }
  }

  timedOut(): void {
    // Its pings find out.
  }

  close(): Promise<void> {
    this.#cluster.destroy()
    return Promise.resolve()
  }

  #failed(error: unknown): void {
    if (this.#isDown) return
    this.#isDown = true
    this.#around.failed(error)
  }
}

/** Milliseconds before a node is tried again. */
function backOff(retries: number): number {
  return Math.min(1_000, 25 * 2 ** Math.min(retries, 10)) * (0.5 + Math.random() / 2)
}
