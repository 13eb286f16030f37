import { Op, literal } from 'sequelize'
import { expect, test } from 'vitest'
import { valuesInWhere } from '../src/where-values.ts'

test.each([
  [{ id: 1 }, [[1]]],
  [{ id: '1', done: true }, [['1']]],
  [{ id: [1, 2] }, [[1], [2]]],
  [{ id: { [Op.in]: [1, 2] } }, [[1], [2]]],
  [{ id: { [Op.eq]: 1n } }, [[1n]]],
  [{ id: { [Op.and]: [{ [Op.gt]: 0 }, { [Op.in]: [1] }] } }, [[1]]],
  [{ id: [] }, []],
  [{ [Op.and]: [{ done: true }, { id: 1 }] }, [[1]]],
  [{ [Op.and]: { id: 1 }, done: false }, [[1]]],
  [[{ done: true }, { id: 1 }], [[1]]],
  [{ id: null }, undefined],
  [{ id: [1, null] }, undefined],
  [{ id: { [Op.ne]: 1 } }, undefined],
  [{ id: { [Op.gt]: 1 } }, undefined],
  [{ id: { [Op.or]: [1, 2] } }, undefined],
  [{ [Op.or]: [{ id: 1 }, { done: true }] }, undefined],
  [{ [Op.not]: { id: 1 } }, undefined],
  [{ id: literal('1 or true') }, undefined],
  [literal('id = 1'), undefined],
  [{}, undefined],
  [undefined, undefined],
  [1, undefined],
])('%o demands of id %o', (where, expected) => {
  expect(valuesInWhere(where, ['id'])).toEqual(expected)
})

test('several columns are combined, but not without end', () => {
  expect(valuesInWhere({ a: 1, b: [2, 3] }, ['a', 'b'])).toEqual([
    [1, 2],
    [1, 3],
  ])
  expect(valuesInWhere({ a: 1 }, ['a', 'b'])).toBeUndefined()
  expect(valuesInWhere({ a: 1 }, [])).toBeUndefined()
  const many = Array.from({ length: 101 }, (_, i) => i)
  expect(valuesInWhere({ a: many, b: many }, ['a', 'b'])).toBeUndefined()
})
