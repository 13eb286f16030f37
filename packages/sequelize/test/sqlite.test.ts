import { tryConformance } from './support/conformance.ts'

await tryConformance('sqlite', {
  decimalDigits: { most: 15, reason: 'SQLite keeps decimals as doubles' },
  concurrent: { not: 'a second writer would block the process, and the first with it' },
  failingCommit: { absent: 'Sequelize leaves the transaction open, so that nobody could write any more' },
})
