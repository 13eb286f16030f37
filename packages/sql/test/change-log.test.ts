import type { Change } from '@rtapi/core'
import { array, assert, nat, option, property, record } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ChangeLog, type RecordWrite } from '../src/change-log.ts'

const write = (action: Change['action'], rest: Partial<RecordWrite> = {}): RecordWrite => ({
  entity: 'Task',
  key: 1,
  action,
  ...rest,
})

function logOf(...writes: readonly RecordWrite[]) {
  const log = new ChangeLog()
  for (const one of writes) log.add(one)
  return log.changes()
}

describe('the writes of one record', () => {
  test('that is made and changed are a create', () => {
    const changes = logOf(
      write('create', { after: { id: 1, a: 1, b: 1 } }),
      write('update', { before: { id: 1, a: 1, b: 1 }, after: { id: 1, a: 2, b: 1 } }),
    )
    expect(changes).toEqual([
      { type: 'change', entity: 'Task', key: 1, action: 'create', after: { id: 1, a: 2, b: 1 } },
    ])
  })

  test('that is made and deleted are nothing', () => {
    expect(logOf(write('create', { after: { id: 1 } }), write('delete', { before: { id: 1 } }))).toEqual([])
  })

  test('that is deleted and made again are an update that keeps nothing of the first', () => {
    const changes = logOf(write('delete', { before: { id: 1, a: 1 } }), write('create', { after: { id: 1, b: 2 } }))
    expect(changes).toEqual([
      { type: 'change', entity: 'Task', key: 1, action: 'update', before: { id: 1, a: 1 }, after: { id: 1, b: 2 } },
    ])
  })

  test('of which one is unknown: nothing is known any more of what it may have changed', () => {
    const known = write('update', { before: { id: 1, a: 1 }, after: { id: 1, a: 2 } })
    const [change] = logOf(known, write('update'))
    expect(change).toEqual({ type: 'change', entity: 'Task', key: 1, action: 'update', before: { id: 1, a: 1 } })
    const [other] = logOf(write('update'), known)
    expect(other).toEqual({ type: 'change', entity: 'Task', key: 1, action: 'update', after: { id: 1, a: 2 } })
  })

  test('of which the second knows more: its before counts where the first wrote nothing', () => {
    const changes = logOf(
      write('update', { before: { id: 1 }, after: { id: 1, a: 2 } }),
      write('delete', { before: { id: 1, a: 2, b: 3 } }),
    )
    expect(changes).toEqual([{ type: 'change', entity: 'Task', key: 1, action: 'delete', before: { id: 1, b: 3 } }])
  })
})

test('keys of several parts, other entities and coarse changes stand side by side', () => {
  const log = new ChangeLog()
  log.add(write('create', { key: [1, 'a'] }))
  log.add(write('delete', { key: [1, 'a'] }))
  log.add(write('create', { key: [1, 'b'] }))
  log.add(write('update', { entity: 'User' }))
  log.addCoarse('Task')
  log.addCoarse('Task')
  expect(log.changes()).toEqual([
    { type: 'coarse', entity: 'Task' },
    { type: 'change', entity: 'Task', key: [1, 'b'], action: 'create' },
    { type: 'change', entity: 'User', key: 1, action: 'update' },
  ])
})

type State = { readonly a: number; readonly b: number } | undefined

test('whatever happens to a record, the change is that from its first state to its last', () => {
  const state = option(record({ a: nat(2), b: nat(2) }), { nil: undefined })
  assert(
    property(array(state, { minLength: 2, maxLength: 8 }), (states) => {
      const writes = states.slice(1).flatMap((after, i) => writeBetween(states[i], after))
      const [change, ...others] = logOf(...writes)
      const [first, last] = [states[0], states.at(-1)]
      expect(others).toEqual([])
      if (first === undefined && last === undefined) {
        expect(change).toBeUndefined()
        return
      }
      const action = first === undefined ? 'create' : last === undefined ? 'delete' : 'update'
      const expected = { ...(first && { before: first }), ...(last && { after: last }) }
      expect(change).toEqual({ type: 'change', entity: 'Task', key: 1, action, ...expected })
    }),
  )
})

function writeBetween(before: State, after: State): RecordWrite[] {
  if (before === undefined) return after === undefined ? [] : [write('create', { after })]
  return [after === undefined ? write('delete', { before }) : write('update', { before, after })]
}
