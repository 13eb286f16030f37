import { tryConformance } from './support/conformance.ts'
import { Item } from './support/entities.ts'

await tryConformance('postgres', {
  concurrent: true,
  failingCommit: (writer) =>
    writer.transaction(async (inner) => {
      await inner.update(1, { text: 'lost' })
      await inner.em.execute('alter table item alter constraint item_shelf_id_foreign deferrable initially deferred')
      await inner.em.insert(Item, { id: 1, shelf: 404 })
    }),
})
