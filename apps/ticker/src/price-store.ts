import {
  type ChangeSource,
  type Filter,
  type Key,
  type Store,
  RtapiError,
  compareRows,
  compileFilter,
  matchesFilter,
} from '@rtapi/core'
import type { PriceFile } from './price-file.ts'
import { type Price, type Prices, isSymbol } from './price-line.ts'

const entity = 'Price'
const types = { symbol: 'string', price: 'decimal', at: 'date' } as const

/** What a client says of a price; the time is the server's. */
export type PriceInput = { readonly symbol: string; readonly price: string }

/** Reads and writes the prices of a file. */
export function priceStore(file: PriceFile, now: () => Date): Store<Price, PriceInput, Pick<Price, 'price'>> {
  const find = (prices: Prices, key: Key, where: Filter): Price | undefined => {
    const price = typeof key === 'string' ? prices.get(key) : undefined
    return price !== undefined && matchesFilter(where, types, price) ? price : undefined
  }
  const at = (): string => now().toISOString()
  return {
    entity,
    describe: () => ({
      key: ['symbol'],
      fields: {
        symbol: { type: 'string', nullable: false },
        price: { type: 'decimal', nullable: false },
        at: { type: 'date', nullable: false, optional: true },
      },
    }),
    read: (keys) => keys.flatMap((key) => (typeof key === 'string' ? (file.prices.get(key) ?? []) : [])),
    find: ({ where, order, limit }) => {
      const matches = compileFilter(where, types)
      return [...file.prices.values()]
        .filter((price) => matches(price))
        .sort((a, b) => compareRows(order, a, b))
        .slice(0, limit)
    },
    async create({ symbol, price }) {
      if (!isSymbol(symbol)) {
        const message = 'expected 1 to 12 capital letters, digits and dots'
        throw new RtapiError('invalid', 'The symbol cannot be one.', { details: [{ path: ['symbol'], message }] })
      }
      const row = { symbol, price, at: at() }
      const tx = await file.change((prices) => {
        if (prices.has(symbol)) throw new RtapiError('conflict', 'The value must be unique.')
        return new Map(prices).set(symbol, row)
      })
      return { row, ...(tx === undefined ? {} : { tx }) }
    },
    async update(key, patch, where) {
      let row: Price | undefined
      const tx = await file.change((prices) => {
        const before = find(prices, key, where)
        if (before === undefined) return undefined
        row = { ...before, ...patch, at: at() }
        return new Map(prices).set(before.symbol, row)
      })
      return row === undefined || tx === undefined ? null : { row, tx }
    },
    async delete(key, where) {
      let row: Price | undefined
      const tx = await file.change((prices) => {
        row = find(prices, key, where)
        return row === undefined ? undefined : new Map([...prices].filter(([symbol]) => symbol !== key))
      })
      return row === undefined || tx === undefined ? null : { row, tx }
    },
  }
}

/** Announces what has changed in the file, whoever has written it. */
export function priceChanges(file: PriceFile): ChangeSource {
  return {
    start: (emit) =>
      file.listen((tx, changes) =>
        emit({
          tx,
          changes: changes.map(({ before, after }) => ({
            type: 'change',
            entity,
            key: (after ?? before)?.symbol ?? '',
            action: before === undefined ? 'create' : after === undefined ? 'delete' : 'update',
            ...(before && { before }),
            ...(after && { after }),
          })),
        }),
      ),
    stop: () => file.listen(undefined),
  }
}
