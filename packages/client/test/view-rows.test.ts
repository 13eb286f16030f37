import { type OrderTerm, type Row, type WireChange, compareRows } from '@rtapi/core/protocol'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { KnownRows } from '../src/known-rows.ts'
import { ViewRows } from '../src/view-rows.ts'

const order: readonly OrderTerm[] = [
  ['rank', 'desc', 'integer'],
  ['id', 'asc', 'integer'],
]

function wire(id: number, rank: number, text = ''): { key: number; data: Row } {
  return { key: id, data: { id, rank, text } }
}

function ids(view: ViewRows): unknown[] {
  return view.rows.map((row) => row['id'])
}

test('a snapshot is shown in the order that the server named', () => {
  const view = new ViewRows(new KnownRows())
  view.replace([wire(1, 5), wire(2, 9), wire(3, 5)], order)
  expect(ids(view)).toEqual([2, 1, 3])
})

test('a row that moves in the order is moved, and the others stay the objects they were', () => {
  const view = new ViewRows(new KnownRows())
  view.replace([wire(1, 5), wire(2, 9), wire(3, 7)], order)
  const [two, three] = view.rows
  view.apply([{ action: 'update', ...wire(1, 8) }])
  expect(ids(view)).toEqual([2, 1, 3])
  expect(view.rows[0]).toBe(two)
  expect(view.rows[2]).toBe(three)
})

test('the array is another after a change only', () => {
  const view = new ViewRows(new KnownRows())
  view.replace([wire(1, 5), wire(2, 9)], order)
  const before = view.rows
  view.apply([
    { action: 'update', ...wire(1, 5) },
    { action: 'delete', key: 77 },
    { action: 'leave', key: 78 },
    { action: 'enter', ...wire(4, 4) },
    { action: 'leave', key: 4 },
  ])
  expect(view.rows).toBe(before)
  view.replace([wire(2, 9), wire(1, 5)], order)
  expect(view.rows).toBe(before)
  view.merge([wire(2, 9)], order)
  expect(view.rows).toBe(before)
  view.merge([wire(2, 4)], order)
  expect(view.rows).not.toBe(before)
  expect(before.map((row) => row['id'])).toEqual([2, 1])
})

test('a new snapshot keeps the rows that are the same, and drops those it does not name', () => {
  const view = new ViewRows(new KnownRows())
  view.replace([wire(1, 5), wire(2, 9), wire(3, 1)], order)
  const [two, one] = view.rows
  view.replace([wire(1, 5), wire(2, 9, 'new')], order)
  expect(ids(view)).toEqual([2, 1])
  expect(view.rows[0]).not.toBe(two)
  expect(view.rows[1]).toBe(one)
  expect(view.get(3)).toBeUndefined()
})

test('a merge with another order sorts what was there as well', () => {
  const view = new ViewRows(new KnownRows())
  view.replace([wire(1, 5), wire(2, 9)], order)
  view.merge([wire(3, 7)], [['id', 'desc', 'integer']])
  expect(ids(view)).toEqual([3, 2, 1])
})

test('rows without the fields of the order are ordered by key', () => {
  const view = new ViewRows(new KnownRows())
  view.replace(
    [
      { key: [2, 'b'], data: { text: 'x' } },
      { key: [2, 'a'], data: { text: 'y' } },
      { key: [1, 'c'], data: {} },
    ],
    order,
  )
  expect(view.keys).toEqual([
    [1, 'c'],
    [2, 'a'],
    [2, 'b'],
  ])
  view.apply([{ action: 'delete', key: [2, 'a'] }])
  expect(view.keys).toEqual([
    [1, 'c'],
    [2, 'b'],
  ])
})

test('rows whose values do not compare are found all the same', () => {
  const view = new ViewRows(new KnownRows())
  const odd: readonly OrderTerm[] = [['rank', 'asc', 'integer']]
  view.replace(
    [1, 2, 3, 4, 5, 6, 7].map((id) => ({ key: id, data: { id, rank: id % 2 === 0 ? 'x' : id } })),
    odd,
  )
  for (const id of [4, 1, 7, 2]) view.apply([{ action: 'delete', key: id }])
  expect(new Set(ids(view))).toEqual(new Set([3, 5, 6]))
})

test('the version of a row that did not change otherwise is the latest', () => {
  const known = new KnownRows()
  const view = new ViewRows(known)
  view.replace([{ ...wire(1, 5), version: 3 }], order)
  const [row] = view.rows
  view.apply([{ action: 'update', ...wire(1, 5), version: 4 }])
  expect(view.rows[0]).toBe(row)
  expect(known.get(row ?? {})).toEqual({ key: 1, version: 4 })
})

const change = fc.oneof(
  fc
    .record({ id: fc.nat(12), rank: fc.nat(4), text: fc.constantFrom('a', 'b') })
    .map(({ id, rank, text }): WireChange => ({ action: 'update', ...wire(id, rank, text) })),
  fc.nat(12).map((id): WireChange => ({ action: 'delete', key: id })),
)

test('any changes leave what sorting the surviving rows would, however they are split', () => {
  fc.assert(
    fc.property(fc.array(fc.array(change, { maxLength: 6 }), { maxLength: 10 }), (messages) => {
      const view = new ViewRows(new KnownRows())
      const model = new Map<unknown, Row>()
      view.replace([], order)
      for (const changes of messages) {
        view.apply(changes)
        for (const { key, data } of changes) {
          if (data === undefined) model.delete(key)
          else model.set(key, data)
        }
        const before = view.rows
        expect(before).toEqual([...model.values()].toSorted((a, b) => compareRows(order, a, b)))
        // Once more: nothing new.
        view.apply(changes)
        expect(view.rows).toEqual(before)
      }
    }),
  )
})
