import type { ConformanceCase } from './conformance.ts'
import { transportClosing } from './transport-closing.ts'
import { transportFrames } from './transport-frames.ts'
import { transportHandshake } from './transport-handshake.ts'
import { type TransportFactory, TransportRun } from './transport-run.ts'

/** What every transport promises: what it tells an API of its clients, and does with what the API gives it for them. */
export function transportSuite(factory: TransportFactory): readonly ConformanceCase[] {
  const cases = [...transportHandshake(factory), ...transportFrames(factory), ...transportClosing]
  return cases.map(([name, body, api]) => ({
    name,
    async run() {
      const run = await TransportRun.open(factory, api)
      try {
        await body(run)
        await run.checkHealth()
      } finally {
        await run.end()
      }
    },
  }))
}
