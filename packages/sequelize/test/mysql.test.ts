import { tryConformance } from './support/conformance.ts'

// The driver and the dialect of MySQL, on MariaDB.
await tryConformance('mysql', {
  concurrent: true,
  failingCommit: { absent: 'MariaDB checks every constraint at once' },
})
