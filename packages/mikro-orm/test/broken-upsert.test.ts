import type { EventArgs, EventSubscriber } from '@mikro-orm/core'
import { thing } from '@rtapi/testing'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import type { DatabaseName } from './support/databases.ts'
import { missing } from './support/databases.ts'
import { Thing } from './support/entities.ts'
import { type Watched, watch } from './support/recording.ts'

/** Of the application: it breaks off what MikroORM does when the statement is done, before anybody else hears of it. */
class Faults implements EventSubscriber<object> {
  after = Infinity

  afterUpsert(_args: EventArgs<object>): void {
    this.after -= 1
    if (this.after < 0) throw new Error('broken off')
  }
}

const faults = new Faults()
const everywhere: readonly DatabaseName[] = ['sqlite', 'postgres', 'mariadb']

describe.each(everywhere)('on %s', async (name) => {
  const reason = await missing(name)
  describe.skipIf(reason !== undefined).each([false, true])('an upsert that is broken off, outbox %s', (outbox) => {
    let at: Watched
    beforeAll(async () => {
      at = await watch(name, { orm: { subscribers: [faults] }, rtapi: { outbox } })
    })
    afterAll(async () => {
      at.live.stop()
      await at.close()
    })
    afterEach(async () => {
      vi.useRealTimers()
      faults.after = Infinity
      await at.clear()
      at.announced()
    })

    const rows = [1, 2].map((id) => thing({ id }) as never)
    const stored = async () => at.other.em.fork().count(Thing)

    test('in a transaction that is committed all the same: all of the entity is queried again', async () => {
      await at.orm.em.fork().transactional(async (em) => {
        faults.after = 1
        await expect(em.upsertMany(Thing, rows)).rejects.toThrow('broken off')
      })
      expect(await stored()).toBe(2)
      expect(at.announced()).toEqual(['coarse Thing', 'update Thing 1'])
    })

    test('in a transaction that is rolled back: nothing is announced, and the next upsert is', async () => {
      const em = at.orm.em.fork()
      await em.begin()
      faults.after = 0
      await expect(em.upsertMany(Thing, rows)).rejects.toThrow('broken off')
      await em.rollback()
      expect(at.announced()).toEqual([])
      faults.after = Infinity
      await em.upsert(Thing, thing({ id: 3 }) as never)
      expect(at.announced()).toEqual(['update Thing 3'])
      expect(await stored()).toBe(1)
    })

    test.skipIf(outbox)('outside of any transaction: a second later all of the entity is queried again', async () => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      faults.after = 0
      await expect(at.orm.em.fork().upsertMany(Thing, rows)).rejects.toThrow('broken off')
      expect(at.announced()).toEqual([])
      vi.advanceTimersByTime(1_000)
      expect(at.announced()).toEqual(['coarse Thing'])
    })
  })
})
