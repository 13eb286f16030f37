import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import type { ChangeBatch } from '@rtapi/core'
import { type FakeClock, fakeClock } from '@rtapi/testing'
import {
  Outbox,
  type OutboxOptions,
  type RawConnection,
  type StatementGate,
  StagedWrites,
  coarseWrite,
  readStatement,
  sqliteDialect,
} from '../../src/index.ts'

/** A database with an outbox and one connection, as an adapter has them; the table `task` is of the entity `Task`. */
export interface OutboxDatabase {
  readonly clock: FakeClock
  readonly outbox: Outbox
  readonly staged: StagedWrites
  readonly raw: RawConnection
  /** What was announced. */
  readonly batches: ChangeBatch[]
  readonly reports: string[]
  /** What the channel layer answers. @default true */
  answer: (batch: ChangeBatch) => unknown
  /** Whether the database can be reached past the connection. @default true */
  isUp: boolean
  /** Whether it answers nothing any more there. @default false */
  hangs: boolean
  /** Whether the connection is lost when a statement has been carried out, and before it is answered. @default false */
  losesAnswers: boolean
  /** Sends a statement over the connection. */
  run(sql: string): Promise<unknown>
  /** Reads or writes past everything. */
  sql(text: string): readonly Readonly<Record<string, unknown>>[]
  /** The changes in the rows of the outbox. */
  rows(): readonly unknown[]
  /** Begins to announce; returns the end. */
  start(): Promise<() => Promise<void>>
}

export async function outboxDatabase(options: OutboxOptions = {}): Promise<OutboxDatabase> {
  const file = new DatabaseSync(':memory:')
  const clock = fakeClock()
  const [batches, reports]: [ChangeBatch[], string[]] = [[], []]
  const raw: RawConnection = {
    async send(text, params = []) {
      const statement = file.prepare(text)
      if (/^\s*(select|with)/.test(text)) return { rows: statement.all() }
      return { rows: [], insertId: statement.run(...(params as SQLInputValue[])).lastInsertRowid }
    },
  }
  const report = (error: unknown, { during }: { during: string }) =>
    void reports.push(`${during}: ${error instanceof Error ? error.message : String(error)}`)
  const outbox = new Outbox(
    { clock, grace: 0, ...options },
    {
      database: 'sqlite',
      name: 'test',
      report,
      // Rejects later, as a database does.
      lend: (work) =>
        at.hangs ? new Promise(() => {}) : at.isUp ? work(raw) : Promise.reject(new Error('no database')),
    },
  )
  const staged = new StagedWrites({
    dialect: sqliteDialect,
    name: 'test',
    report,
    outbox,
    entitiesIn: (sql) => (/\btask\b/.test(sql) ? ['Task'] : []),
    written: (sql, transaction) => {
      if (/\btask\b/.test(sql)) staged.stage(transaction, coarseWrite(['Task']))
    },
  })
  const track = staged.newTrack()
  const gate = staged.newGate(track, raw) as StatementGate
  const at: OutboxDatabase = {
    clock,
    outbox,
    staged,
    raw,
    batches,
    reports,
    answer: () => true,
    isUp: true,
    hangs: false,
    losesAnswers: false,
    run(sql) {
      const statement = readStatement(sql)
      return gate.pass({
        sql,
        statement,
        async send() {
          const result = await raw.send(sql)
          if (at.losesAnswers) throw new Error('connection lost')
          track.succeeded(sql, statement)
          return result
        },
      })
    },
    sql: (text) => file.prepare(text).all(),
    rows: () =>
      at
        .sql('select changes from rtapi_outbox order by id')
        .map(({ changes }) => JSON.parse(String(changes)) as unknown),
    async start() {
      const source = staged.source()
      await source.start((batch) => {
        batches.push(batch)
        return at.answer(batch)
      })
      return async () => source.stop()
    },
  }
  at.sql('create table task (id integer primary key, title text unique)')
  await outbox.install()
  return at
}
