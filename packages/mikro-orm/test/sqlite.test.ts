import { tryConformance } from './support/conformance.ts'

await tryConformance('sqlite', { decimalDigits: { most: 15, reason: 'SQLite keeps decimals as doubles' } })
