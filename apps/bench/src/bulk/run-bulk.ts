import { join } from 'node:path'
import { startPostgres } from '../../../../test/services/postgres.ts'
import { LOAD_CORE, SERVER_CORE, startProcess } from '../bench-process.ts'
import { type BulkClientCommands, type BulkServerCommands, type BulkWay, ROWS, type Strain } from './bulk-commands.ts'

const ways: readonly BulkWay[] = ['native', 'flush', 'keys']
const names = { native: 'one statement', flush: 'one flush', keys: 'ten transactions by key' }

/** All rows change at once while a hundred subscribers hold views of them: prints how long the server is blocked at a time. */
export async function runBulk({ profile }: { readonly profile?: string }): Promise<void> {
  console.log(`${ROWS} rows change; 100 subscribers: 10 to all rows, 40 to the first hundred, 50 to a topic each.`)
  await measure('core alone, rows in memory', null, profile)
  const postgres = await startPostgres()
  try {
    await measure('MikroORM on PostgreSQL', postgres.url, profile)
  } finally {
    await postgres.stop()
  }
}

async function measure(title: string, database: string | null, profile: string | undefined): Promise<void> {
  console.log(`\n${title}`)
  const server = startProcess<BulkServerCommands>(new URL('./bulk-server.ts', import.meta.url), SERVER_CORE)
  const clients = startProcess<BulkClientCommands>(new URL('./bulk-clients.ts', import.meta.url), LOAD_CORE)
  const watched = async (what: string, work: () => Promise<void>): Promise<void> => {
    await server.commands.watch()
    if (profile !== undefined) await server.commands.startProfile()
    const began = performance.now()
    await work()
    const took = performance.now() - began
    if (profile !== undefined)
      await server.commands.writeProfile(
        join(profile, `${database === null ? 'core' : 'orm'}-${what.replaceAll(/\W+/g, '-')}.cpuprofile`),
      )
    print(what, await server.commands.strain(), took)
  }
  try {
    const endpoint = await server.commands.start(database)
    let round = 0
    if (database !== null) {
      await watched('no view: one read of all rows', () => server.commands.readAll())
      for (const way of ways) await watched(`no view: ${names[way]}`, () => server.commands.change(way, ++round))
    }
    await watched('all connect and subscribe', () => clients.commands.connect(endpoint))
    for (let time = 1; time <= 2; time++) {
      for (const way of ways) {
        const next = ++round
        await watched(`${names[way]}, time ${time}`, async () => {
          const changed = server.commands.change(way, next)
          await clients.commands.converged(next)
          await changed
        })
      }
    }
    await clients.commands.disconnect()
    await watched('all come again', () => clients.commands.connect(endpoint))
  } finally {
    await clients.stop()
    await server.stop()
  }
}

function print(what: string, { longest, busiest, long, heap: [before, peak, after] }: Strain, took: number): void {
  const figures = [
    `busiest turn ${busiest.toFixed(0).padStart(3)} ms`,
    `over 50 ms ${String(long).padStart(2)}×`,
    `timers late by ${longest.toFixed(0).padStart(3)} ms`,
    `heap ${before.toFixed(0).padStart(3)} → ${peak.toFixed(0).padStart(3)} → ${after.toFixed(0).padStart(3)} MB`,
    `done in ${took.toFixed(0).padStart(5)} ms`,
  ]
  console.log(`  ${what.padEnd(36)} ${figures.join('   ')}`)
}
