import { onTestFinished } from 'vitest'
import type { Change, ChangeBatch, CoarseChange } from '@rtapi/core'
import { type PostgresSource, type PostgresSourceOptions, postgresSource } from '../../src/index.ts'
import type { TestDatabase } from './database.ts'
import { until } from './until.ts'

/** A source that has been started, and what it has said. */
export interface WatchedSource {
  readonly source: PostgresSource
  readonly batches: ChangeBatch[]
  readonly reports: { readonly error: unknown; readonly during: string }[]
  /** Waits until all that has been committed has been announced; answers the batches since the last call. */
  readonly announced: () => Promise<readonly ChangeBatch[]>
  /** The changes of these batches. */
  readonly changes: () => Promise<readonly (Change | CoarseChange)[]>
}

/** What an API answers to a batch. */
export type Answer = (batch: ChangeBatch) => unknown

/** Starts a source for one test, at whose end it is stopped. */
export async function watchSource(
  database: TestDatabase,
  options: Omit<PostgresSourceOptions, 'connection'> & Partial<Pick<PostgresSourceOptions, 'connection'>>,
  answer: Answer = () => undefined,
): Promise<WatchedSource> {
  const batches: ChangeBatch[] = []
  const reports: WatchedSource['reports'] = []
  const report = (error: unknown, { during }: { readonly during: string }) => void reports.push({ error, during })
  const source = postgresSource({ connection: database.url, report, ...options })
  onTestFinished(async () => source.stop())
  await source.start((batch) => {
    batches.push(batch)
    return answer(batch)
  })
  const announced = async () => {
    await untilEmpty(database)
    return batches.splice(0)
  }
  return {
    source,
    batches,
    reports,
    announced,
    changes: async () => (await announced()).flatMap(({ changes }) => changes),
  }
}

/** What is announced is forgotten after that. */
export async function untilEmpty(database: TestDatabase, outbox = 'rtapi.outbox'): Promise<void> {
  await until('the outbox to be empty', async () => {
    const [found] = await database.rows<{ count: number }>(`select count(*)::int as count from ${outbox}`)
    return found?.count === 0
  })
}
