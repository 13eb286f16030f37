import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { type Api, allowAny, createApi, defineResource } from '@rtapi/core'
import { redisLayer } from '@rtapi/redis'
import { type TestView, connect } from '@rtapi/testing'
import { QueryTypes, Sequelize } from 'sequelize'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { type TcpProxy, tcpProxy } from '../../../packages/redis/test/support/tcp-proxy.ts'
import { lend } from '../../../test/services/lend.ts'
import { type RedisServer, startRedis } from '../../../test/services/redis.ts'
import { scratchFolder } from '../../../test/services/service.ts'
import { type Notes, type NotesAddress, openNotes } from './support/notes.ts'
import { type NoteNode, startNoteNode } from './support/start-note-node.ts'

// Processes take their time where many tests run at once.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

/** For what happens in other processes. */
function eventually<T>(check: () => T | Promise<T>, interval = 10): Promise<T> {
  return vi.waitFor(check, { timeout: 30_000, interval })
}

/** Milliseconds; who asks MariaDB for its locks again within 100 is told what it said last. */
const LOCK_LOOKS = 150

/** Another program's session, past rtapi: a plain connection to the database. */
interface Session {
  /** Runs statements in a transaction that stays open until the answered undo is called. */
  hold(...statements: readonly string[]): Promise<() => Promise<void>>
  /** Whether somebody waits for a lock in this database. */
  waits(): Promise<boolean>
  close(): Promise<void>
}

const chosen: readonly Pick<NotesAddress, 'orm' | 'database'>[] = [
  { orm: 'mikro-orm', database: 'postgres' },
  { orm: 'sequelize', database: 'mariadb' },
  { orm: 'mikro-orm', database: 'sqlite' },
]
const others: typeof chosen = [
  { orm: 'sequelize', database: 'postgres' },
  { orm: 'mikro-orm', database: 'mariadb' },
]
const everywhere = process.env['E2E'] === 'all' ? [...chosen, ...others] : chosen

describe.each(everywhere)('$orm on $database', async ({ orm, database }) => {
  const service = database === 'sqlite' ? undefined : await lend(database)
  const reason = service !== undefined && 'missing' in service ? service.missing : undefined

  describe.skipIf(reason !== undefined)(reason ?? 'a process that is killed', () => {
    let redis: RedisServer
    let proxy: TcpProxy
    let address: NotesAddress
    let session: Session
    let removeFolder: () => Promise<void> = () => Promise.resolve()
    let notes: Notes
    let api: Api
    let view: TestView
    const children: NoteNode[] = []

    beforeAll(async () => {
      redis = await startRedis()
      proxy = await tcpProxy(redis.port)
      if (service === undefined || !('url' in service)) {
        const folder = await scratchFolder('outbox')
        removeFolder = folder.remove
        address = { orm, database, url: join(folder.path, 'notes.sqlite') }
        session = noSession
      } else {
        const opened = await openServerDatabase(service.url, database)
        session = opened.session
        address = { orm, database, url: opened.url }
      }
      const setUp = await openNotes(address, { report: () => {}, outbox: true })
      await setUp.create()
      await setUp.outbox?.install()
      await setUp.close()
    })
    afterAll(async () => {
      await session.close()
      await proxy.stop()
      await redis.stop()
      await removeFolder()
    })

    // The node that lives: it watches, and its relay delivers what others leave.
    beforeEach(async () => {
      notes = await openNotes(address, { report: () => {}, outbox: true })
      await notes.sql('delete from note')
      await notes.sql(`insert into note (id, text) values (1, 'old'), (2, 'old')`)
      // Last, since these have left rows too: found when the test is under way they would let the view ask anew.
      await notes.sql('delete from rtapi_outbox')
      api = createApi({
        resources: [defineResource('notes', { store: notes.store, permissions: [allowAny] })],
        changes: [notes.changes],
        layer: redisLayer(redis.url, { report: () => {} }),
        report: () => {},
      })
      await api.ready
      const client = await connect(api)
      view = await client.subscribe({ resource: 'notes' })
    })
    afterEach(async () => {
      await Promise.all(children.splice(0).map((child) => child.kill()))
      proxy.heal()
      await api.close()
      await notes.close()
    })

    async function start(outbox: 'off' | 'on' | 'forgetful', by: string = redis.url): Promise<NoteNode> {
      const child = await startNoteNode({ notes: address, redis: by, outbox })
      children.push(child)
      return child
    }
    const shown = (id: number) => view.rows.find((row) => row['id'] === id)?.['text']
    const stored = async (id: number) => (await notes.store.read([id]))[0]?.['text']
    const waiting = async () => (await notes.sql('select id from rtapi_outbox')).length
    /** Everything that was published until now has been seen. */
    async function caughtUp(): Promise<void> {
      const text = randomUUID()
      await notes.write(2, text)
      await eventually(() => expect(shown(2)).toBe(text))
    }

    test('F11: after the commit and before the announcement, another process delivers it', async () => {
      const child = await start('on', proxy.url)
      proxy.mute()
      child.tell({ type: 'write', id: 1, text: 'new' })
      await eventually(async () => expect(await stored(1)).toBe('new'))
      await child.done('write')
      await child.kill()
      await eventually(() => expect(shown(1)).toBe('new'))
      await eventually(async () => expect(await waiting()).toBe(0))
    })

    test('F11: the same of a statement outside of any transaction', async () => {
      const child = await start('on', proxy.url)
      proxy.mute()
      child.tell({ type: 'writeAlone', id: 1, text: 'new' })
      await child.done('writeAlone')
      await child.kill()
      await eventually(() => expect(shown(1)).toBe('new'))
    })

    test('F11: with a Redis that stands still for all of them', async () => {
      const child = await start('on')
      redis.freeze()
      child.tell({ type: 'write', id: 1, text: 'new' })
      await eventually(async () => expect(await stored(1)).toBe('new'))
      await child.kill()
      redis.thaw()
      await eventually(() => expect(shown(1)).toBe('new'))
      await eventually(async () => expect(await waiting()).toBe(0))
    })

    test('F12: after the announcement and before the removal: twice, and the view is the same', async () => {
      const child = await start('forgetful')
      child.tell({ type: 'write', id: 1, text: 'new' })
      await child.done('write')
      await eventually(() => expect(shown(1)).toBe('new'))
      await child.kill()
      await eventually(async () => expect(await waiting()).toBe(0))
      await caughtUp()
      expect(view.log.filter((message) => JSON.stringify(message).includes('"new"'))).toHaveLength(1)
      expect(view.resets).toEqual([])
    })

    test('before the commit: nothing is stored, announced or kept', async () => {
      const child = await start('on')
      child.tell({ type: 'hold', id: 1, text: 'lost' })
      await child.done('hold')
      await child.kill()
      await caughtUp()
      await eventually(async () => expect(await waiting()).toBe(0))
      expect(await stored(1)).toBe('old')
      expect(JSON.stringify(view.log)).not.toContain('lost')
    })

    if (database !== 'sqlite') {
      test('F10: while a statement outside of any transaction waits for a lock: it is not committed', async () => {
        const child = await start('on')
        const release = await session.hold('update note set text = text where id = 1')
        child.tell({ type: 'writeAlone', id: 1, text: 'lost' })
        await eventually(async () => expect(await session.waits()).toBe(true), LOCK_LOOKS)
        await child.kill()
        await release()
        await eventually(async () => expect(await session.waits()).toBe(false), LOCK_LOOKS)
        await caughtUp()
        expect(await stored(1)).toBe('old')
        expect(JSON.stringify(view.log)).not.toContain('lost')
      })

      test('F13: the transaction that began first is committed last, both are delivered', async () => {
        const [first, second] = await Promise.all([start('on', proxy.url), start('on', proxy.url)])
        first.tell({ type: 'hold', id: 1, text: 'late' })
        await first.done('hold')
        proxy.mute()
        second.tell({ type: 'write', id: 2, text: 'early' })
        await second.done('write')
        await second.kill()
        await eventually(() => expect(shown(2)).toBe('early'))
        expect(shown(1)).toBe('old')
        first.tell({ type: 'go', id: 1, text: '' })
        await eventually(async () => expect(await stored(1)).toBe('late'))
        await first.done('go')
        await first.kill()
        await eventually(() => expect(shown(1)).toBe('late'))
      })
    }

    test('several relays at once: everything is delivered and removed, once at least', async () => {
      const others = await Promise.all([start('on'), start('on')])
      const ids = Array.from({ length: 600 }, (_, i) => i + 100)
      await notes.sql(`insert into note (id, text) values ${ids.map((id) => `(${id}, 'left')`).join(', ')}`)
      // As another program would, which knows nothing but the table.
      const rows = ids.map((id) => `('[{"entity":"Note","key":${id},"action":"create"}]')`)
      await notes.sql(`insert into rtapi_outbox (changes) values ${rows.join(', ')}`)
      await eventually(() => expect(view.rows).toHaveLength(602))
      await eventually(async () => expect(await waiting()).toBe(0))
      await Promise.all(others.map((other) => other.kill()))
    })

    test('F11 without an outbox: stale until the record changes again, and honest about what it knows', async () => {
      const child = await start('off', proxy.url)
      proxy.mute()
      child.tell({ type: 'write', id: 1, text: 'unheard of' })
      await child.done('write')
      await child.kill()
      await caughtUp()
      expect(shown(1)).toBe('old')
      // A new view, as after a reset, shows what is stored.
      const client = await connect(api)
      const later = await client.subscribe({ resource: 'notes', where: { id: 1 } })
      expect(later.rows[0]?.['text']).toBe('unheard of')
      await notes.write(1, 'newer')
      await eventually(() => expect(shown(1)).toBe('newer'))
    })
  })
})

/** Makes a database on a server. */
async function openServerDatabase(
  server: string,
  database: 'postgres' | 'mariadb' | 'sqlite',
): Promise<{ url: string; session: Session }> {
  const name = `rtapi_${randomUUID().replaceAll('-', '')}`
  const url = new URL(`/${name}`, server)
  if (database === 'mariadb') url.protocol = 'mariadb:'
  const admin = new URL(database === 'postgres' ? '/postgres' : '/mysql', url)
  const first = new Sequelize(admin.href, { logging: false })
  await first.query(`create database ${name}`)
  await first.close()
  const sequelize = new Sequelize(url.href, { logging: false })
  const locks =
    database === 'postgres'
      ? `select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = '${name}'`
      : `select 1 from information_schema.innodb_trx join information_schema.processlist on id = trx_mysql_thread_id
         where trx_state = 'LOCK WAIT' and db = '${name}'`
  return {
    url: url.href,
    session: {
      async hold(...statements) {
        const transaction = await sequelize.transaction()
        for (const statement of statements) await sequelize.query(statement, { transaction })
        return () => transaction.commit()
      },
      waits: async () => (await sequelize.query(locks, { type: QueryTypes.SELECT })).length > 0,
      close: () => sequelize.close(),
    },
  }
}

const noSession: Session = {
  hold: () => Promise.reject(new Error('there is no server')),
  waits: () => Promise.resolve(false),
  close: () => Promise.resolve(),
}
