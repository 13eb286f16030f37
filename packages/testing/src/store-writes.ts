import { type Filter, type Row, RtapiError, everything, nothing } from '@rtapi/core'
import { check, checkEqual, checkFails } from './conformance.ts'
import { type StoreCase, all, checkRow, equals, fill, idsWhere, inOrder } from './store-case.ts'
import { thing, thingFields } from './things.ts'

const full = thing({
  id: 7,
  text: 'Ünïcode 😀 and "quotes"',
  weight: 0.1,
  quantity: -2_147_483_648,
  price: '12345678.5',
  total: '9223372036854775807',
  happenedAt: '2026-01-31T12:00:00.123Z',
  done: true,
  owner: 'ann',
  code: 'A-1',
  version: 3,
})

/** What stores promise of their description and of writes. */
export const storeWrites: readonly StoreCase[] = [
  [
    'describes the key, and each field with its type and whether it can be null',
    async (store) => {
      const { key, fields } = store.describe()
      checkEqual(key, ['id'], 'the key')
      checkEqual(Object.keys(fields).sort(), Object.keys(thingFields).sort(), 'the names of the fields')
      for (const [name, { type, nullable }] of Object.entries(thingFields)) {
        checkEqual({ type: fields[name]?.type, nullable: fields[name]?.nullable }, { type, nullable }, name)
      }
    },
  ],
  [
    'create answers the record, and read and find answer it alike, all in wire form',
    async (store) => {
      const things = [full, thing({ id: 8, text: 'all else is null' })]
      for (const data of things) {
        const { row } = await store.create(data)
        checkRow(row, data, 'the row of create')
        const [read] = await store.read([data.id])
        checkRow(read, data, 'the row of read')
        checkEqual(row, read, 'the row of create, against that of read')
        checkEqual(row['happenedAt'], data.happenedAt, 'a date')
      }
      const found = await all(store)
      for (const [i, data] of things.entries()) checkRow(found[i], data, 'a row of find')
      checkEqual(found, await inOrder(store, [7, 8]), 'the rows of find, against those of read')
    },
  ],
  [
    'create fills what can be null with null, and the key if it says that it is optional',
    async (store) => {
      const { row } = await store.create({ id: 1, text: '', done: false, version: 1 })
      checkRow(row, thing({ id: 1 }), 'the row')
      if (store.describe().fields['id']?.optional !== true) return
      const made = await store.create({ text: 'made', done: false, version: 1 })
      check(Number.isInteger(made.row['id']), `a generated key: ${JSON.stringify(made.row['id'])}`)
      checkRow((await store.read([Number(made.row['id'])]))[0], { ...thing({ id: 0 }), ...made.row }, 'the made row')
    },
  ],
  [
    'update changes the given fields and no others, and answers the record as it is then',
    async (store) => {
      await fill(store, full, thing({ id: 8, text: 'other' }))
      const result = await store.update(7, { text: 'new', owner: null, price: '0.25' }, everything)
      const expected = { ...full, text: 'new', owner: null, price: '0.25' }
      check(result !== null, 'update of an existing record answered null')
      checkRow(result.row, expected, 'the row of update')
      checkEqual(result.row, (await store.read([7]))[0], 'the row of update, against that of read')
      checkRow((await store.read([8]))[0], thing({ id: 8, text: 'other' }), 'the other record')
    },
  ],
  [
    'update and delete leave a record alone which does not match, and answer null',
    async (store) => {
      await fill(store, full)
      const foreign = equals('owner', 'bob')
      checkEqual(await store.update(7, { text: 'new' }, foreign), null, 'update where another owner')
      checkEqual(await store.delete(7, foreign), null, 'delete where another owner')
      checkEqual(await store.update(7, { text: 'new' }, nothing), null, 'update where nothing')
      checkEqual(await store.delete(7, nothing), null, 'delete where nothing')
      checkRow((await all(store))[0], full, 'the record')
    },
  ],
  [
    'update and delete find a record which matches, also if it does not match any more afterwards',
    async (store) => {
      await fill(store, full)
      const where: Filter = { type: 'and', filters: [equals('owner', 'ann'), equals('done', true)] }
      const updated = await store.update(7, { owner: 'bob' }, where)
      checkRow(updated?.row, { ...full, owner: 'bob' }, 'the row of update')
      const deleted = await store.delete(7, equals('owner', 'bob'))
      checkRow(deleted?.row, { ...full, owner: 'bob' }, 'the row of delete, as it was before')
      checkEqual(await all(store), [], 'what is left')
    },
  ],
  [
    'update and delete of a missing record answer null',
    async (store) => {
      checkEqual(await store.update(1, { text: 'new' }, everything), null, 'update')
      checkEqual(await store.delete(1, everything), null, 'delete')
    },
  ],
  [
    'an update that changes nothing answers the record',
    async (store) => {
      await fill(store, full)
      checkRow((await store.update(7, { text: full.text }, everything))?.row, full, 'with the same value')
      checkRow((await store.update(7, {}, everything))?.row, full, 'with an empty patch')
    },
  ],
  [
    'a value that must be unique and is not is a conflict, which does not repeat the value',
    async (store) => {
      await fill(store, full, thing({ id: 8, code: 'B-2' }))
      await checkConflict(() => store.create(thing({ id: 7, text: 'again' })), 'create of a key that is taken')
      await checkConflict(() => store.create(thing({ id: 9, code: 'A-1' })), 'create with a code that is taken', 'A-1')
      await checkConflict(() => store.update(8, { code: 'A-1' }, everything), 'update to a code that is taken', 'A-1')
      checkEqual(
        (await all(store)).map(({ id, code }) => [id, code]),
        [
          [7, 'A-1'],
          [8, 'B-2'],
        ],
        'the records',
      )
      await store.delete(7, everything)
      check((await store.update(8, { code: 'A-1' }, everything)) !== null, 'a code that is free again is refused')
    },
  ],
  [
    'data that does not fit is invalid, and nothing is written',
    async (store) => {
      await fill(store, full)
      const cases: [string, () => unknown][] = [
        ['create without a field that must be there', () => store.create({ id: 1, done: false, version: 1 })],
        ['create with null where it cannot be', () => store.create({ ...thing({ id: 1 }), text: null })],
        ['update to null where it cannot be', () => store.update(7, { text: null }, everything)],
      ]
      for (const [what, work] of cases) checkCode(await checkFails(work, `${what} was accepted`), 'invalid', what)
      checkEqual(await idsWhere(store, everything), [7], 'the records')
      checkRow((await store.read([7]))[0], full, 'the record')
    },
  ],
  [
    'of several updates at once on condition of the version, exactly one is made',
    async (store) => {
      await fill(store, full)
      const tries = Array.from({ length: 8 }, async (_, i) =>
        store.update(7, { version: 4, owner: `writer ${i}` }, equals('version', 3)),
      )
      const made = (await Promise.all(tries)).filter((result) => result !== null)
      checkEqual(made.length, 1, 'updates that were made')
      checkEqual((await store.read([7]))[0], made[0]?.row, 'the record')
    },
  ],
  [
    'several updates of different fields at once are all there in the end',
    async (store) => {
      await fill(store, full)
      const patches: readonly Row[] = [{ text: 'new' }, { owner: 'new' }, { quantity: 5 }, { weight: 0.5 }]
      await Promise.all(patches.map(async (patch) => store.update(7, patch, everything)))
      const expected = { ...full, text: 'new', owner: 'new', quantity: 5, weight: 0.5 }
      checkRow((await store.read([7]))[0], expected, 'the record')
    },
  ],
  [
    'of several deletes at once exactly one gets the record',
    async (store) => {
      await fill(store, full)
      const results = await Promise.all(Array.from({ length: 5 }, async () => store.delete(7, everything)))
      checkEqual(results.filter((result) => result !== null).length, 1, 'deletes that got the record')
    },
  ],
  [
    'of several creates of one key at once exactly one is made, and the others are conflicts',
    async (store) => {
      const tries = Array.from({ length: 5 }, async () => store.create(full))
      const failures = (await Promise.allSettled(tries)).flatMap((result) =>
        result.status === 'rejected' ? [result.reason as unknown] : [],
      )
      checkEqual(failures.length, 4, 'creates that failed')
      for (const error of failures) checkCode(error, 'conflict', 'create of a key that is taken')
    },
  ],
]

async function checkConflict(work: () => unknown, what: string, secret?: string): Promise<void> {
  const error = await checkFails(work, `${what} was accepted`)
  const wire = checkCode(error, 'conflict', what).toWire()
  check(secret === undefined || !JSON.stringify(wire).includes(secret), `${what}: the error repeats the value`)
}

function checkCode(error: unknown, code: string, what: string): RtapiError {
  check(error instanceof RtapiError, `${what}: expected an RtapiError '${code}', found ${String(error)}`)
  checkEqual(error.code, code, what)
  return error
}
