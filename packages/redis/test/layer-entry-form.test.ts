import type { LayerEntry } from '@rtapi/core'
import { expect, test } from 'vitest'
import { parseEntry } from '../src/layer-entry-form.ts'

const entries: readonly LayerEntry[] = [
  { type: 'changes', tx: 't', entity: 'e', changes: [] },
  {
    type: 'changes',
    tx: 't',
    entity: 'e',
    changes: [
      { key: 1, action: 'create' },
      { key: 'a', action: 'update' },
      { key: ['a', 2], action: 'delete' },
    ],
  },
  { type: 'coarse', tx: 't', entity: 'e' },
  { type: 'scope', tx: 't', resource: 'r', users: 'all' },
  { type: 'scope', tx: 't', resource: 'r', users: [1, 'ann'] },
  { type: 'session', command: 'end', user: 1, session: 's', except: 'x', reason: 'r' },
  { type: 'session', command: 'refresh', reason: '' },
]

test.each(entries)('$type is an entry', (entry) => {
  expect(parseEntry(JSON.stringify(entry))).toEqual(entry)
})

test.each(entries)('$type with any of its parts missing or of another type is none', (entry) => {
  const optional = ['user', 'session', 'except']
  for (const name of Object.keys(entry)) {
    const { [name as keyof LayerEntry]: _, ...rest } = entry
    if (!optional.includes(name)) expect(parseEntry(JSON.stringify(rest)), `without ${name}`).toBeUndefined()
    for (const wrong of [null, true, {}, [null], [{}]]) {
      expect(
        parseEntry(JSON.stringify({ ...entry, [name]: wrong })),
        `${name}: ${JSON.stringify(wrong)}`,
      ).toBeUndefined()
    }
  }
})

test('a change with a wrong key or action is none', () => {
  const changed = (change: unknown) =>
    parseEntry(JSON.stringify({ type: 'changes', tx: 't', entity: 'e', changes: [change] }))
  for (const change of [null, [], {}, { key: 1 }, { key: null, action: 'create' }, { key: [null], action: 'create' }]) {
    expect(changed(change)).toBeUndefined()
  }
  expect(changed({ key: 1, action: 'upsert' })).toBeUndefined()
})

test('what is no JSON, or no object, is none', () => {
  for (const text of [
    '',
    '{',
    'null',
    '1',
    '"changes"',
    '[]',
    '{}',
    '{"type":"hello"}',
    '{"__proto__":{"type":"coarse"}}',
  ]) {
    expect(parseEntry(text), text).toBeUndefined()
  }
})
