import type { Deadlines } from './deadlines.ts'
import type { MasterSource } from './single-master.ts'
import type { PlainClient } from './topology.ts'

/** The part of node-redis's Sentinel client that the layer uses. */
export interface SentinelClient {
  connect(): Promise<unknown>
  destroy(): Promise<void>
  duplicate(overrides: object): SentinelClient
  on(event: string, listener: (argument: unknown) => void): unknown
  /** Calls `use` with its client of the master that is in charge now. */
  _execute<T>(isReadonly: false, use: (client: PlainClient) => Promise<T>): Promise<T>
}

/** The master whom Sentinel names. */
export function sentinelMaster(template: SentinelClient, deadlines: Deadlines): MasterSource {
  const sentinel = template.duplicate({ commandOptions: {}, clientSideCache: undefined })
  return {
    async open(changed) {
      // Whether it can be reached shows in the calls.
      sentinel.on('error', () => {})
      sentinel.on('topology-change', (event) => {
        if (isMasterChange(event)) changed()
      })
      await deadlines.run('answer through Sentinel', sentinel.connect())
    },
    async find() {
      const found = sentinel._execute(false, (client) => Promise.resolve({ client }))
      return (await deadlines.run('name a master', found)).client
    },
    async close() {
      await deadlines.run('end the connections to Sentinel', sentinel.destroy()).catch(() => undefined)
    },
  }
}

function isMasterChange(event: unknown): boolean {
  return typeof event === 'object' && event !== null && 'type' in event && event.type === 'MASTER_CHANGE'
}
