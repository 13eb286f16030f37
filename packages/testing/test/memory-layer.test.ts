import { memoryBus } from '@rtapi/core'
import { fakeClock, layerSuite } from '@rtapi/testing'
import { describe, test } from 'vitest'

const history = 20

const cases = layerSuite({
  history,
  open() {
    const clock = fakeClock()
    const bus = memoryBus({ clock, history: { entries: history } })
    return {
      layers: [bus.layer(), bus.layer()],
      forget: () => clock.advance(300_000),
      pass: (time) => clock.advance(time),
    }
  },
})

describe('the memory layer is a channel layer', () => {
  for (const { name, run } of cases) test(name, run)
})
