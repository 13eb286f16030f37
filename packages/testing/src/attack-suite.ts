import { type AttackFactory, AttackRun } from './attack-run.ts'
import { attacksByLoad } from './attacks-by-load.ts'
import { attacksByMessage } from './attacks-by-message.ts'
import { attacksBySession } from './attacks-by-session.ts'
import { attacksOnTheHidden } from './attacks-on-the-hidden.ts'
import type { ConformanceCase } from './conformance.ts'

/**
 * What attackers send, over a transport: whatever core promises of it holds for those who come that way. Each case has the
 * name of a row of docs/security.md. What is below the messages of a transport, only its own tests can attack.
 */
export function attackSuite(factory: AttackFactory): readonly ConformanceCase[] {
  const cases = [...attacksByMessage, ...attacksOnTheHidden, ...attacksBySession, ...attacksByLoad]
  return cases.map(([title, body, world]) => ({
    name: title.replace(/^A\d+/, (row) => `${row} over ${factory.name}:`),
    async run() {
      const run = await AttackRun.open(factory, world)
      try {
        await body(run)
        await run.checkHealth()
      } finally {
        await run.end()
      }
    },
  }))
}
