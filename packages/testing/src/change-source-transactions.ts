import { type SourceCase, type SourceRun, Rollback, failing } from './change-source-run.ts'
import type { ChangeSourceFactory, ThingWriter } from './change-source-subject.ts'
import { check, checkEqual, checkFails } from './conformance.ts'
import { settle } from './event-loop.ts'
import { thing } from './things.ts'

/** What sources promise of transactions and savepoints. */
export function transactionCases<W extends ThingWriter>({
  concurrent,
  failingCommit,
}: ChangeSourceFactory<W>): readonly SourceCase<W>[] {
  const noFailingCommit =
    typeof failingCommit === 'function' ? '' : `: there is no such commit, ${failingCommit.absent}`
  const notConcurrent = concurrent === true ? '' : `: not tried, ${concurrent.not}`
  return [
    [
      'announces a transaction after its commit, as one batch, each record once',
      async (run) => {
        await run.given({ id: 1 }, { id: 2 })
        const result = await run.writer.transaction(async (writer) => {
          await writer.create(thing({ id: 3 }))
          await writer.update(1, { text: 'once' })
          await writer.update(1, { text: 'twice' })
          await writer.update(3, { text: 'just created' })
          await writer.remove(2)
          await checkSilence(run, 'before the commit')
          return 'result'
        })
        checkEqual(result, 'result', 'the result of the transaction')
        checkEqual((await run.transactions()).length, 1, 'transactions')
        checkEqual(run.batches.length, 1, 'batches')
        await run.expect(
          'the transaction',
          { key: 1, action: 'update' },
          { key: 2, action: 'delete' },
          { key: 3, action: 'create' },
        )
      },
    ],
    [
      'announces what a transaction has come to: nothing for a record created and deleted, a delete for one updated first',
      async (run) => {
        await run.given({ id: 1 })
        await run.writer.transaction(async (writer) => {
          await writer.create(thing({ id: 2 }))
          await writer.remove(2)
          await writer.update(1, { text: 'new' })
          await writer.remove(1)
        })
        await run.expect('the transaction', { key: 1, action: 'delete' })
      },
    ],
    [
      'announces nothing of a transaction that rolls back, which rejects with the error it was given',
      async (run) => {
        await run.given({ id: 1 })
        const error = new Rollback('thrown by the test')
        const rejected = await checkFails(
          () =>
            run.writer.transaction(async (writer) => {
              await writer.create(thing({ id: 2 }))
              await writer.update(1, { text: 'new' })
              throw error
            }),
          'a transaction whose work threw resolved',
        )
        check(rejected === error, 'the transaction rejected with another error than its work')
        await run.expect('a transaction that was rolled back')
        await run.writer.update(1, { text: 'later' })
        await run.expect('a write after it', { key: 1, action: 'update' })
      },
    ],
    [
      'announces nothing of a transaction without writes',
      async (run) => {
        await run.writer.transaction(() => Promise.resolve())
        await run.expect('an empty transaction')
      },
    ],
    [
      `announces nothing if the commit fails${noFailingCommit}`,
      async (run) => {
        if (typeof failingCommit !== 'function') return
        await run.given({ id: 1 }, { id: 2 }, { id: 3 })
        await checkFails(() => failingCommit(run.writer), 'the commit did not fail')
        await run.expect('a transaction whose commit failed')
        await run.writer.create(thing({ id: 9 }))
        await run.expect('a write after it', { key: 9, action: 'create' })
      },
    ],
    [
      `keeps transactions apart that are open at the same time${notConcurrent}`,
      async (run) => {
        if (concurrent !== true) return
        await run.given({ id: 1 }, { id: 2 }, { id: 3 })
        const first = new Gate()
        const second = new Gate()
        const slow = run.writer.transaction(async (writer) => {
          await writer.update(1, { text: 'slow' })
          second.open()
          await first.opened
        })
        const lost = run.writer.transaction(async (writer) => {
          await writer.update(3, { text: 'lost' })
          await first.opened
          throw new Rollback('thrown by the test')
        })
        const outcome = checkFails(() => lost, 'the transaction that threw resolved')
        await second.opened
        await run.writer.transaction(async (writer) => void (await writer.update(2, { text: 'quick' })))
        await run.expect('the quick transaction, while two others are open', { key: 2, action: 'update' })
        first.open()
        await Promise.all([slow, outcome])
        await run.expect('the slow transaction, while another was rolled back', { key: 1, action: 'update' })
      },
    ],
    [
      'announces a transaction of many records: all of them, or that all are to be read again',
      async (run) => {
        const ids = Array.from({ length: 300 }, (_, i) => i + 1)
        await run.writer.transaction(async (writer) => {
          for (const id of ids) await writer.create(thing({ id }))
        })
        checkEqual((await run.transactions()).length, 1, 'transactions')
        if ((await run.coarse()).has(run.entity)) return
        await run.expect('the transaction', ...ids.map((key) => ({ key, action: 'create' as const })))
      },
    ],
    [
      'announces what a savepoint wrote after the outermost commit, and not before',
      async (run) => {
        await run.given({ id: 1 }, { id: 2 })
        await run.writer.transaction(async (outer) => {
          await outer.update(1, { text: 'outer' })
          await outer.transaction(async (inner) => {
            await inner.update(2, { text: 'inner' })
            await inner.transaction(async (innermost) => void (await innermost.create(thing({ id: 3 }))))
          })
          await checkSilence(run, 'after the savepoints, before the commit')
        })
        checkEqual((await run.transactions()).length, 1, 'transactions')
        await run.expect('all levels', { key: 1 }, { key: 2 }, { key: 3, action: 'create' })
      },
    ],
    [
      'announces nothing of a savepoint that rolled back, and the rest of its transaction',
      async (run) => {
        await run.given({ id: 1 }, { id: 2 }, { id: 3 })
        await run.writer.transaction(async (outer) => {
          await outer.update(1, { text: 'outer' })
          await failing(outer, async (inner) => {
            await inner.update(2, { text: 'lost' })
            await inner.create(thing({ id: 4 }))
            await inner.transaction(async (innermost) => void (await innermost.remove(3)))
          })
          await outer.transaction(async (inner) => void (await inner.update(3, { text: 'kept' })))
        })
        await run.expect('what was kept', { key: 1, action: 'update' }, { key: 3, action: 'update' })
      },
    ],
    [
      'announces nothing of a savepoint whose outer transaction rolled back',
      async (run) => {
        await run.given({ id: 1 })
        await failing(run.writer, async (outer) => {
          await outer.transaction(async (inner) => void (await inner.update(1, { text: 'lost' })))
          await outer.transaction(async (inner) => void (await inner.create(thing({ id: 2 }))))
        })
        await run.expect('a transaction that was rolled back')
      },
    ],
    [
      'announces a record that was written outside of the savepoint that rolled back as well as in it',
      async (run) => {
        await run.given({ id: 1 })
        await run.writer.transaction(async (outer) => {
          await outer.update(1, { text: 'kept' })
          await failing(outer, async (inner) => void (await inner.update(1, { text: 'lost' })))
        })
        await run.expect('the record', { key: 1, action: 'update' })
      },
    ],
  ]
}

/** Opens once. */
class Gate {
  open: () => void = () => {}
  readonly opened: Promise<void> = new Promise((resolve) => {
    this.open = resolve
  })
}

async function checkSilence<W extends ThingWriter>(run: SourceRun<W>, when: string): Promise<void> {
  await settle()
  checkEqual(run.batches, [], `emitted ${when}`)
}
