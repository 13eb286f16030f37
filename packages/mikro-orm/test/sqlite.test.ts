import { tryConformance } from './support/conformance.ts'
import { Item } from './support/entities.ts'

await tryConformance('sqlite', {
  decimalDigits: { most: 15, reason: 'SQLite keeps decimals as doubles' },
  concurrent: { not: 'all transactions share one connection' },
  failingCommit: (writer) =>
    writer.transaction(async (inner) => {
      await inner.update(1, { text: 'lost' })
      await inner.em.execute('pragma defer_foreign_keys = on')
      await inner.em.insert(Item, { id: 1, shelf: 404 })
    }),
})
