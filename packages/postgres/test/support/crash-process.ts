/**
 * A process that is killed at a step of its work: `writer` opens a transaction and stands still before its commit, `relay`
 * announces over Redis what is in the database. Says on standard output how far it is.
 */
import { writeSync } from 'node:fs'
import { allowAny, createApi, defineResource } from '@rtapi/core'
import { Client, Pool } from 'pg'
import { PgoutputPlugin } from 'pg-logical-replication'
import { redisLayer } from '@rtapi/redis'
import { postgresSource, replicationSource } from '../../src/index.ts'
import type { CrashTask } from './crash-task.ts'
import { NoteStore } from './note-store.ts'

const task = JSON.parse(process.argv[2] ?? '{}') as CrashTask
const say = (line: string) => void writeSync(1, `${line}\n`)

if (task.role === 'writer') {
  const client = new Client(task.database)
  await client.connect()
  await client.query(`begin; ${task.sql}`)
  say('written')
  setInterval(() => undefined, 60_000)
} else {
  const layer = redisLayer(task.redis, { prefix: task.prefix, timeout: 10_000 })
  const publish = layer.publish.bind(layer)
  const forever = new Promise<never>(() => undefined)
  layer.publish = async (group, entry) => {
    if (task.stop === 'before publishing') {
      say('stopped')
      return forever
    }
    const position = await publish(group, entry)
    say('published')
    return task.stop === 'after publishing' ? forever : position
  }
  if (task.stop === 'while reading') standStillWhileReading()
  const common = {
    connection: task.database,
    tables: task.tables,
    poll: 50,
    report: (error: unknown) => say(String(error)),
  }
  const source =
    task.from === 'triggers'
      ? postgresSource({ ...common, batch: 100 })
      : replicationSource({ ...common, slot: task.from.slot })
  const notes = defineResource('notes', {
    store: new NoteStore(new Pool({ connectionString: task.database })),
    permissions: [allowAny],
  })
  await createApi({ resources: [notes], changes: [source], layer }).ready
  say('ready')
}

/** At the second page of a transaction of the outbox, or within a big transaction of the log. */
function standStillWhileReading(): void {
  const stop = <T>(): Promise<T> => {
    say('stopped')
    return new Promise(() => undefined)
  }
  // oxlint-disable-next-line typescript/unbound-method -- it is called with the client that it belongs to
  const { query } = Client.prototype
  Client.prototype.query = function (this: Client, ...args: unknown[]) {
    const [text, values] = args
    const isLater = String(text).includes('pg_snapshot_xmin') && Array.isArray(values) && values[1] !== '0'
    return isLater ? stop() : (Reflect.apply(query, this, args) as unknown)
  } as typeof query
  let inserts = 0
  // oxlint-disable-next-line typescript/unbound-method -- it is called with the plugin that it belongs to
  const { parse } = PgoutputPlugin.prototype
  PgoutputPlugin.prototype.parse = function (this: PgoutputPlugin, buffer: Buffer) {
    const message = parse.call(this, buffer)
    if (message.tag === 'insert' && ++inserts === 500) {
      say('stopped')
      // The process stands still as a whole.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
    }
    return message
  }
}
