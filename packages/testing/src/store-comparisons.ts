import type { Filter } from '@rtapi/core'
import { checkEqual } from './conformance.ts'
import { type StoreCase, fill, idsWhere } from './store-case.ts'
import { type Thing, thing } from './things.ts'

/** Filters on one field, and the ids of the things which they find. */
interface Comparing {
  readonly name: string
  readonly field: keyof Thing
  /** Of things 1, 2, 3 … */
  readonly values: readonly (string | number | boolean | null)[]
  readonly finds: readonly (readonly [filter: string, value: unknown, ids: readonly number[]])[]
}

const comparing: readonly Comparing[] = [
  {
    name: 'integers',
    field: 'quantity',
    values: [-1, 0, 9, 10, null],
    finds: [
      ['eq', 0, [2]],
      ['ne', 0, [1, 3, 4, 5]],
      ['in', [9, 10, 11], [3, 4]],
      ['nin', [9, 10], [1, 2, 5]],
      ['in', [], []],
      ['nin', [], [1, 2, 3, 4, 5]],
      ['lt', 9, [1, 2]],
      ['lte', 9, [1, 2, 3]],
      ['gt', 9, [4]],
      ['gte', 9, [3, 4]],
      ['isNull', true, [5]],
      ['isNull', false, [1, 2, 3, 4]],
    ],
  },
  {
    name: 'doubles',
    field: 'weight',
    values: [-0.5, 0.1, 0.30000000000000004, 4503599627370495.5, null],
    finds: [
      ['eq', 0.1, [2]],
      ['eq', 0.3, []],
      ['eq', 0.30000000000000004, [3]],
      ['gt', 0.3, [3, 4]],
      ['lt', 0, [1]],
      ['nin', [0.1], [1, 3, 4, 5]],
    ],
  },
  {
    name: 'decimals by their value',
    field: 'price',
    values: ['-0.5', '9', '10', '10.000001', null],
    finds: [
      ['eq', '10', [3]],
      ['ne', '10', [1, 2, 4, 5]],
      ['gt', '9', [3, 4]],
      ['gt', '10', [4]],
      ['lt', '10', [1, 2]],
      ['in', ['9', '-0.5'], [1, 2]],
      ['eq', '10.0000010000000000001', []],
      ['gte', '10.0000010000000000001', []],
      ['lt', '123456789012345678901234567890', [1, 2, 3, 4]],
    ],
  },
  {
    name: 'big integers beyond what a double holds',
    field: 'total',
    values: ['9007199254740992', '9007199254740993', '9223372036854775807', '-9', null],
    finds: [
      ['eq', '9007199254740993', [2]],
      ['gt', '9007199254740992', [2, 3]],
      ['lte', '9007199254740992', [1, 4]],
      ['in', ['-9', '9223372036854775807'], [3, 4]],
      ['ne', '-9', [1, 2, 3, 5]],
    ],
  },
  {
    name: 'dates to the millisecond',
    field: 'happenedAt',
    values: ['2026-03-29T01:30:00.000Z', '2026-03-29T01:30:00.001Z', '1969-12-31T23:59:59.999Z', null],
    finds: [
      ['eq', '2026-03-29T01:30:00.000Z', [1]],
      ['gt', '2026-03-29T01:30:00.000Z', [2]],
      ['lt', '1970-01-01T00:00:00.000Z', [3]],
      ['in', ['2026-03-29T01:30:00.001Z'], [2]],
      ['ne', '2026-03-29T01:30:00.001Z', [1, 3, 4]],
    ],
  },
  {
    name: 'booleans',
    field: 'done',
    values: [true, false],
    finds: [
      ['eq', true, [1]],
      ['ne', true, [2]],
      ['in', [false], [2]],
      ['lt', true, [2]],
      ['gte', false, [1, 2]],
    ],
  },
  {
    name: 'text by code point, with letter case, accents and blanks',
    field: 'owner',
    values: ['ann', 'Ann', 'änn', 'ann ', '', null, 'a\u0308nn'],
    finds: [
      ['eq', 'ann', [1]],
      ['ne', 'ann', [2, 3, 4, 5, 6, 7]],
      ['in', ['ANN', 'änn'], [3]],
      ['eq', '', [5]],
      ['eq', 'ann ', [4]],
      ['lt', 'a', [2, 5]],
      ['gt', 'ann', [3, 4, 7]],
      ['isNull', true, [6]],
    ],
  },
  {
    name: 'text above U+FFFF after all other text',
    field: 'owner',
    values: ['\ue000', '\ufffd', '😀', 'z'],
    finds: [
      ['gt', '\uffff', [3]],
      ['lt', '😀', [1, 2, 4]],
      ['eq', '😀', [3]],
      ['startsWith', '😀', [3]],
    ],
  },
  {
    name: 'the beginning of a text, in which % _ and \\ are characters like any other',
    field: 'owner',
    values: ['a%b', 'a_b', 'axb', 'a\\b', 'A%B', null, 'x', "a'b", '[a]', '*a'],
    finds: [
      ['startsWith', 'a%', [1]],
      ['startsWith', 'a_', [2]],
      ['startsWith', 'a\\', [4]],
      ['startsWith', "a'", [8]],
      ['startsWith', '%', []],
      ['startsWith', '_', []],
      ['startsWith', '[a', [9]],
      ['startsWith', '*', [10]],
      ['startsWith', '', [1, 2, 3, 4, 5, 7, 8, 9, 10]],
      ['startsWith', { value: 'a%', ignoreCase: true }, [1, 5]],
      ['startsWith', { value: 'A', ignoreCase: true }, [1, 2, 3, 4, 5, 8]],
      ['notStartsWith', 'a%', [2, 3, 4, 5, 6, 7, 8, 9, 10]],
      ['notStartsWith', { value: 'A%', ignoreCase: true }, [2, 3, 4, 6, 7, 8, 9, 10]],
    ],
  },
  {
    name: 'ignoring the case of A to Z alone',
    field: 'owner',
    values: ['kelvin', 'KELVIN', '\u212aelvin', 'Äpfel', 'äpfel', 'ſ', 's', 'ıx', 'İx', 'ix'],
    finds: [
      ['startsWith', { value: 'k', ignoreCase: true }, [1, 2]],
      ['startsWith', { value: 'ä', ignoreCase: true }, [5]],
      ['startsWith', { value: 'S', ignoreCase: true }, [7]],
      ['startsWith', { value: 'I', ignoreCase: true }, [10]],
    ],
  },
]

function toCase({ name, field, values, finds }: Comparing): StoreCase {
  return [
    `compares ${name}`,
    async (store) => {
      await fill(store, ...values.map((value, i) => thing({ id: i + 1, [field]: value })))
      for (const [operator, value, ids] of finds) {
        const text =
          typeof value === 'string' && /startsWith/i.test(operator) ? { value, ignoreCase: false } : { value }
        const options = typeof value === 'object' && !Array.isArray(value) ? value : text
        // The table above is made of right comparisons.
        const where = { type: 'compare', field, operator, ...options } as unknown as Filter
        checkEqual(await idsWhere(store, where), ids, `${field} ${operator} ${JSON.stringify(value)}`)
      }
    },
  ]
}

/** What stores promise of each operator on each type. */
export const storeComparisons: readonly StoreCase[] = comparing.map(toCase)
