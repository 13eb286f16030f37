import { type ChangeBatch, type Row, compareValues } from '@rtapi/core'
import type { SourceCase } from './change-source-run.ts'
import type { ThingWriter } from './change-source-subject.ts'
import { check, checkEqual, checkFails } from './conformance.ts'
import { type Thing, thing, thingFields } from './things.ts'

/** What sources promise of the writes of single records, and that they disturb nobody. */
export function singleWriteCases<W extends ThingWriter>(): readonly SourceCase<W>[] {
  return [
    [
      'announces a create, an update and a delete, each under a transaction of its own',
      async (run) => {
        await run.writer.create(thing({ id: 1, text: 'a' }))
        const [first] = await run.transactions()
        await run.expect('create', { key: 1, action: 'create' })
        await run.writer.update(1, { text: 'b' })
        const [second] = await run.transactions()
        await run.expect('update', { key: 1, action: 'update' })
        await run.writer.remove(1)
        const [third] = await run.transactions()
        await run.expect('delete', { key: 1, action: 'delete' })
        checkEqual(new Set([first, second, third]).size, 3, 'different transaction ids')
      },
    ],
    [
      'says of the fields only what is true, and in wire form',
      async (run) => {
        const before = thing({ id: 1, owner: 'ann', price: '1.5', total: '9007199254740993', quantity: 3 })
        const patch = { owner: 'bob', price: null, happenedAt: '2026-01-31T12:00:00.001Z', total: '5' }
        await run.writer.create(before)
        const [create] = await run.expect('create', { key: 1 })
        checkImage(create?.before, undefined, 'before a create')
        checkImage(create?.after, before, 'after a create')
        await run.writer.update(1, patch)
        const [update] = await run.expect('update', { key: 1 })
        checkImage(update?.before, before, 'before an update')
        checkImage(update?.after, { ...before, ...patch }, 'after an update')
        await run.writer.remove(1)
        const [remove] = await run.expect('delete', { key: 1 })
        checkImage(remove?.before, { ...before, ...patch }, 'before a delete')
        checkImage(remove?.after, undefined, 'after a delete')
      },
    ],
    [
      'announces nothing for a save that changes nothing',
      async (run) => {
        await run.given({ id: 1, text: 'same', quantity: 5 })
        await run.writer.update(1, { text: 'same', quantity: 5 })
        await run.expect('a save without a change')
      },
    ],
    [
      'announces nothing for a write that fails, and the next one as ever',
      async (run) => {
        await run.given({ id: 1, code: 'A' }, { id: 2 })
        await checkFails(() => run.writer.create(thing({ id: 1 })), 'a second record with one key was accepted')
        await checkFails(() => run.writer.update(2, { code: 'A' }), 'a second record with one code was accepted')
        await run.expect('two failed writes')
        await run.writer.create(thing({ id: 3 }))
        await run.expect('a write after them', { key: 3, action: 'create' })
      },
    ],
    [
      'shows the committed record to who reads it when the change is emitted',
      async (run) => {
        const seen: Promise<Row | undefined>[] = []
        run.onBatch = () => void seen.push(Promise.resolve(run.subject.readCommitted(1)))
        await run.writer.create(thing({ id: 1, text: 'a' }))
        // Who reads is given the time to, before the record changes again.
        await run.settle()
        await Promise.all(seen)
        await run.writer.transaction(async (writer) => void (await writer.update(1, { text: 'b' })))
        await run.settle()
        await Promise.all(seen)
        await run.writer.remove(1)
        await run.settle()
        const texts = (await Promise.all(seen)).map((row) => row?.['text'])
        checkEqual(texts, ['a', 'b', undefined], 'the text of the record as it was read at each emit')
      },
    ],
    [
      'names the transaction as the store does in the result of a write',
      async (run) => {
        const { store } = run.subject
        if (store === undefined) return
        const everything = { type: 'const', value: true } as const
        const writes = [
          async () => store.create(thing({ id: 1 })),
          async () => store.update(1, { text: 'new' }, everything),
          async () => store.delete(1, everything),
        ]
        for (const write of writes) {
          const result = await write()
          const announced = await run.transactions()
          checkEqual(announced.length, 1, 'transactions of one write')
          if (result?.tx !== undefined) checkEqual(result.tx, announced[0], 'the transaction of the result')
          await run.expect('a write of the store', { key: 1 })
        }
      },
    ],
    [
      'announces many writes at once, each under its own transaction',
      async (run) => {
        await Promise.all([1, 2, 3, 4, 5].map((id) => run.writer.create(thing({ id }))))
        checkEqual((await run.transactions()).length, 5, 'transactions')
        await run.expect('five creates', ...[1, 2, 3, 4, 5].map((key) => ({ key, action: 'create' as const })))
      },
    ],
    [
      'announces each update of one record by many writers at once that was made',
      async (run) => {
        await run.given({ id: 1 })
        const tries = await Promise.allSettled(
          ['a', 'b', 'c', 'd'].map((text) => run.writer.update(1, { text, version: text.charCodeAt(0) })),
        )
        const made = tries.filter(({ status }) => status === 'fulfilled').length
        check(made > 0, 'not one of the updates was made')
        checkEqual((await run.transactions()).length, made, 'transactions, as many as updates were made')
        await run.expect('the updates', { key: 1, action: 'update' })
      },
    ],
    [
      'emits nothing after stop, not even of a transaction that was open then',
      async (run) => {
        await run.given({ id: 1 })
        await run.writer.transaction(async (writer) => {
          await writer.update(1, { text: 'new' })
          await run.stop()
        })
        await run.writer.create(thing({ id: 2 }))
        await run.expect('writes after stop')
      },
    ],
    [
      'keeps the writes of the library as they are when emit throws, though it must not',
      async (run) => {
        run.onBatch = () => {
          throw new Error('thrown by emit, which must not reach the writer')
        }
        await run.writer.create(thing({ id: 1 }))
        const result = await run.writer.transaction(async (writer) => {
          await writer.update(1, { text: 'new' })
          return 'result'
        })
        checkEqual(result, 'result', 'the result of the transaction')
        await run.settle()
        run.onBatch = () => {}
        await run.forget()
        await run.writer.update(1, { text: 'newer' })
        await run.expect('a write after it', { key: 1, action: 'update' })
      },
    ],
    [
      'keeps the errors of the library as they are',
      async (run) => {
        await run.given({ id: 1, code: 'A' })
        const watched = await checkFails(() => run.writer.create(thing({ id: 2, code: 'A' })), 'it was accepted')
        await run.stop()
        const unwatched = await checkFails(() => run.writer.create(thing({ id: 2, code: 'A' })), 'it was accepted')
        checkEqual(nameOf(watched), nameOf(unwatched), 'the error with the source started, and stopped')
      },
    ],
    [
      'emits plain data that stays as it was emitted',
      async (run) => {
        await run.given({ id: 1, text: 'first' })
        const copies: [ChangeBatch, string][] = []
        run.onBatch = (batch) => void copies.push([batch, JSON.stringify(batch)])
        await run.writer.update(1, { text: 'second' })
        await run.writer.update(1, { text: 'third' })
        await run.writer.remove(1)
        await run.settle()
        check(copies.length >= 3, 'the writes were not announced')
        for (const [batch, copy] of copies) {
          checkEqual(batch, JSON.parse(copy), 'a batch that was emitted, some writes later')
        }
      },
    ],
  ]
}

/** What is said of the fields must be so; a field that is not named is not known. */
function checkImage(image: Readonly<Record<string, unknown>> | undefined, row: Thing | undefined, what: string): void {
  if (image === undefined) return
  check(row !== undefined, `${what} there are no values, but some are named: ${JSON.stringify(image)}`)
  for (const [field, { type }] of Object.entries(thingFields)) {
    const found = image[field]
    if (found === undefined) continue
    const wanted = row[field as keyof Thing]
    const same = found === null || wanted === null ? found === wanted : typeof found === typeof wanted
    // Both are of the field's type, or null, as was just looked at.
    const equal = same && compareValues(type, found as string, wanted) === 0
    check(equal, `${what} ${field} is ${JSON.stringify(wanted)}, but ${JSON.stringify(found)} is said`)
  }
}

function nameOf(error: unknown): string {
  return error instanceof Error ? `${error.constructor.name} ${error.message}` : String(error)
}
