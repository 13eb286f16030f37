import { memoryResults } from '@rtapi/core'
import { resultSuite } from '@rtapi/testing'
import { describe, test } from 'vitest'

describe('memoryResults keeps results', () => {
  const cases = resultSuite({
    open() {
      const keeper = memoryResults()
      return { keepers: [keeper, keeper] }
    },
  })
  for (const { name, run } of cases) test(name, run)
})
