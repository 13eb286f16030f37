import type { ChangeBatch } from '@rtapi/core'
import { recordChanges } from '@rtapi/testing'
import { expect, test } from 'vitest'

test('what a source emits is told as texts, once, and each change as it is', async () => {
  let emit: ((batch: ChangeBatch) => unknown) | undefined
  const recorded = await recordChanges({ start: (given) => void (emit = given), stop: () => {} })
  const created = { type: 'change', entity: 'Thing', key: 1, action: 'create' } as const
  const pair = { type: 'change', entity: 'Pair', key: [1, 'a'], action: 'delete' } as const
  emit?.({ tx: 'a', changes: [created, { type: 'coarse', entity: 'Thing' }] })
  emit?.({ tx: 'b', changes: [pair] })
  expect(recorded.batches.map(({ tx }) => tx)).toEqual(['a', 'b'])
  expect([recorded.change('Thing', 1), recorded.change('Pair', [1, 'a'])]).toEqual([created, pair])
  expect([recorded.change('Thing', '1'), recorded.change('Pair', 1)]).toEqual([undefined, undefined])
  expect(recorded.announced()).toEqual(['create Thing 1', 'coarse Thing', 'delete Pair [1,"a"]'])
  expect([recorded.announced(), recorded.change('Thing', 1)]).toEqual([[], undefined])
})
