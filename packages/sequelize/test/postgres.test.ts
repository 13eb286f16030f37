import { tryConformance } from './support/conformance.ts'

await tryConformance('postgres', {
  concurrent: true,
  failingCommit: (writer) =>
    writer.transaction(async ({ database, models, options }) => {
      await models.Thing.update({ text: 'lost' }, { where: { id: 1 }, ...options })
      await database.sequelize.query(
        'alter table item alter constraint item_shelf_id_fkey deferrable initially deferred',
        options,
      )
      await models.Item.create({ id: 1, shelfId: 404 }, options)
    }),
})
