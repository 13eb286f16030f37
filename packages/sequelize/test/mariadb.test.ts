import { tryConformance } from './support/conformance.ts'

await tryConformance('mariadb', {
  concurrent: true,
  failingCommit: { absent: 'MariaDB checks every constraint at once' },
})
