import {
  type Filter,
  type OrderTerm,
  type Query,
  type Row,
  type Store,
  compareRows,
  everything,
  matchesFilter,
  nothing,
} from '@rtapi/core'
import { checkEqual } from './conformance.ts'
import { randomFilter, randomOrder, randomThing } from './random-things.ts'
import { seededRandom } from './seeded-random.ts'
import { type StoreCase, all, byId, compare, equals, fill, idsWhere } from './store-case.ts'
import { type Thing, thing, thingFields } from './things.ts'

/** What stores promise of reads. */
export const storeQueries: readonly StoreCase[] = [
  [
    'read answers the records that exist among the keys, each once',
    async (store) => {
      await fill(store, ...[1, 2, 3, 4].map((id) => thing({ id, text: `thing ${id}` })))
      const found = await store.read([4, 99, 2, 2, -1])
      checkEqual(
        found.map(({ id }) => Number(id)).sort((a, b) => a - b),
        [2, 4],
        'the keys',
      )
      checkEqual(found.find(({ id }) => id === 4)?.['text'], 'thing 4', 'a text')
      checkEqual(await store.read([]), [], 'read of no keys')
    },
  ],
  [
    'read takes a thousand keys',
    async (store) => {
      await fill(store, ...[3, 500, 999].map((id) => thing({ id })))
      const keys = Array.from({ length: 1_000 }, (_, id) => id)
      checkEqual(
        (await store.read(keys)).map(({ id }) => Number(id)).sort((a, b) => a - b),
        [3, 500, 999],
        'the keys',
      )
    },
  ],
  [
    'find knows the constant filters, and and and or of none',
    async (store) => {
      await fill(store, thing({ id: 1 }), thing({ id: 2 }))
      checkEqual(await idsWhere(store, everything), [1, 2], 'everything')
      checkEqual(await idsWhere(store, nothing), [], 'nothing')
      checkEqual(await idsWhere(store, { type: 'and', filters: [] }), [1, 2], 'and of none')
      checkEqual(await idsWhere(store, { type: 'or', filters: [] }), [], 'or of none')
      checkEqual(await idsWhere(store, { type: 'or', filters: [nothing, equals('id', 2)] }), [2], 'or with nothing')
    },
  ],
  [
    'orders with null lowest, and equal values by the key',
    async (store) => {
      await fill(store, ...[2, null, 1, 2, null].map((quantity, i) => thing({ id: i + 1, quantity })))
      const sorted = async (...directions: readonly ['asc' | 'desc', 'asc' | 'desc']) => {
        const [first, second] = directions
        const order: OrderTerm[] = [
          ['quantity', first, 'integer'],
          ['id', second, 'integer'],
        ]
        return (await store.find({ where: everything, order })).map(({ id }) => id)
      }
      checkEqual(await sorted('asc', 'asc'), [2, 5, 3, 1, 4], 'ascending')
      checkEqual(await sorted('desc', 'asc'), [1, 4, 3, 2, 5], 'descending')
      checkEqual(await sorted('asc', 'desc'), [5, 2, 3, 4, 1], 'ascending, and the key descending')
    },
  ],
  [
    'orders text by code point, and numbers of all types by their value',
    async (store) => {
      const texts = ['b', 'a', 'B', 'ä', '', '😀', '\ufffd', 'a ']
      const totals = ['10', '9', '-10', '-9', '0', '9223372036854775807', '1', '2']
      await fill(
        store,
        ...texts.map((text, i) =>
          thing({ id: i + 1, text, total: totals[i] ?? null, price: totals[i]?.slice(0, 3) ?? null }),
        ),
      )
      const sorted = async (field: keyof Thing) => {
        const order: OrderTerm[] = [[field, 'asc', thingFields[field].type], ...byId]
        return (await store.find({ where: everything, order })).map((row) => row[field])
      }
      checkEqual(await sorted('text'), ['', 'B', 'a', 'a ', 'b', 'ä', '\ufffd', '😀'], 'text')
      checkEqual(await sorted('total'), ['-10', '-9', '0', '1', '2', '9', '10', '9223372036854775807'], 'big integers')
      checkEqual((await sorted('price')).map(Number), [-10, -9, 0, 1, 2, 9, 10, 922], 'decimals')
    },
  ],
  [
    'limits to the first rows of the order',
    async (store) => {
      await fill(store, ...[1, 2, 3, 4, 5].map((id) => thing({ id, quantity: -id })))
      const query: Query = { where: compare('id', 'lt', 5), order: [['quantity', 'asc', 'integer'], ...byId] }
      checkEqual(
        (await store.find({ ...query, limit: 2 })).map(({ id }) => id),
        [4, 3],
        'two of four',
      )
      checkEqual((await store.find({ ...query, limit: 100 })).length, 4, 'more than there are')
    },
  ],
  [
    'pages through all rows by conditions on the last row',
    async (store) => {
      const quantities = [3, null, 1, 3, null, 2, 1, 3]
      await fill(store, ...quantities.map((quantity, i) => thing({ id: i + 1, quantity })))
      for (const direction of ['asc', 'desc'] as const) {
        const order: readonly OrderTerm[] = [['quantity', direction, 'integer'], ...byId]
        const wanted = await store.find({ where: everything, order })
        const found: Row[] = []
        for (let page = 0; page < 10; page++) {
          const last = found.at(-1)
          const where = last === undefined ? everything : after(direction, last)
          found.push(...(await store.find({ where, order, limit: 3 })))
        }
        checkEqual(
          found.map(({ id }) => id),
          wanted.map(({ id }) => id),
          `the pages, ${direction}`,
        )
      }
    },
  ],
]

/** The rows after this one in the order of (quantity, id). */
function after(direction: 'asc' | 'desc', row: Row): Filter {
  const [quantity, id] = [row['quantity'] ?? null, Number(row['id'])]
  const isNull = (value: boolean): Filter => ({ type: 'compare', field: 'quantity', operator: 'isNull', value })
  const laterId: Filter = compare('id', 'gt', id)
  const same = quantity === null ? isNull(true) : equals('quantity', Number(quantity))
  const later: Filter[] = [{ type: 'and', filters: [same, laterId] }]
  if (quantity === null && direction === 'asc') later.push(isNull(false))
  if (quantity !== null) {
    later.push(compare('quantity', direction === 'asc' ? 'gt' : 'lt', Number(quantity)))
    if (direction === 'desc') later.push(isNull(true))
  }
  return { type: 'or', filters: later }
}

const RANDOM_ROWS = 60
const RANDOM_FILTERS = 100

/** Tries random filters and orders on random rows. @param digits - how many a decimal has at most. */
export async function tryRandomFilters(store: Store, seed: number, digits: number): Promise<void> {
  const random = seededRandom(seed)
  for (let id = 1; id <= RANDOM_ROWS; id++) await store.create(randomThing(random, id, digits))
  const rows = await all(store)
  checkEqual(rows.length, RANDOM_ROWS, 'the rows that were created')
  const types = Object.fromEntries(Object.entries(thingFields).map(([name, { type }]) => [name, type]))
  for (let i = 0; i < RANDOM_FILTERS; i++) {
    const where = randomFilter(random, 3, digits)
    const order = randomOrder(random)
    const limit = random.chance(0.3) ? 1 + random.integer(20) : undefined
    const wanted = rows
      .filter((row) => matchesFilter(where, types, row))
      .sort((a, b) => compareRows(order, a, b))
      .slice(0, limit)
    const found = await store.find({ where, order, ...(limit === undefined ? {} : { limit }) })
    const query = `${JSON.stringify(where)} by ${JSON.stringify(order)}, at most ${limit}`
    checkEqual(
      found.map(({ id }) => id),
      wanted.map(({ id }) => id),
      `filter ${i} of seed ${seed}: ${query}`,
    )
  }
}
