/**
 * A process that is killed at a step of its work: `writer` opens a transaction and stands still before its commit, `relay`
 * announces over Redis what is in the database. Says on standard output how far it is.
 */
import { allowAny, createApi, defineResource } from '@rtapi/core'
import { Client, Pool } from 'pg'
import { redisLayer } from '../../../redis/src/index.ts'
import { postgresSource } from '../../src/index.ts'
import type { CrashTask } from './crash-task.ts'
import { NoteStore } from './note-store.ts'

const task = JSON.parse(process.argv[2] ?? '{}') as CrashTask
const say = (line: string) => void process.stdout.write(`${line}\n`)

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
  if (task.stop === 'while reading') {
    // oxlint-disable-next-line typescript/unbound-method -- it is called with the client that it belongs to
    const query = Client.prototype.query
    Client.prototype.query = function (this: Client, ...args: unknown[]) {
      const [text, values] = args
      // The second page of a transaction.
      const isLater = String(text).includes('pg_snapshot_xmin') && Array.isArray(values) && values[1] !== '0'
      if (!isLater) return Reflect.apply(query, this, args) as unknown
      say('stopped')
      return forever
    } as typeof query
  }
  const source = postgresSource({
    connection: task.database,
    tables: task.tables,
    poll: 50,
    batch: 100,
    report: (error) => say(String(error)),
  })
  const notes = defineResource('notes', {
    store: new NoteStore(new Pool({ connectionString: task.database })),
    permissions: [allowAny],
  })
  await createApi({ resources: [notes], changes: [source], layer }).ready
  say('ready')
}
