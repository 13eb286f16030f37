import { raw, wrap } from '@mikro-orm/core'
import { type ChangeSourceFactory, type Thing as ThingRow, thing } from '@rtapi/testing'
import { Box, Draft, Folder, Item, Label, Note, Page, Shelf, Thing } from './entities.ts'
import type { MikroWriter } from './mikro-writer.ts'

type Paths = ChangeSourceFactory<MikroWriter>['paths']

const TABLE = 'things'

function row(id: number, fields: Partial<ThingRow> = {}): never {
  const { happenedAt: _, total: __, ...rest } = thing({ id, ...fields })
  return rest as never
}

/** The ways in which MikroORM writes records besides one by one, and what the source makes of each. */
export const writePaths: Paths = {
  bulkInsert: {
    as: 'captured',
    async run({ em }) {
      await em.insertMany(Thing, [row(11), row(12)])
      return [
        { key: 11, action: 'create' },
        { key: 12, action: 'create' },
      ]
    },
  },
  bulkInsertIgnoringConflicts: {
    as: 'captured',
    async run({ em }) {
      await em.upsertMany(Thing, [row(1, { text: 'new' }), row(11)], { onConflictAction: 'ignore' })
      return [{ key: 1, unsure: true }, { key: 11 }]
    },
  },
  bulkInsertUpdatingConflicts: {
    as: 'captured',
    async run({ em }) {
      await em.upsertMany(Thing, [row(1, { text: 'new' }), row(11)])
      return [{ key: 1 }, { key: 11 }]
    },
  },
  bulkUpdate: {
    as: 'coarse',
    async run({ em }) {
      await em.nativeUpdate(Thing, { text: { $in: ['one', 'two'] } }, { done: true })
      return [{ key: 1 }, { key: 2 }]
    },
  },
  bulkUpdateLimited: { absent: 'MikroORM limits no updates' },
  bulkDelete: {
    as: 'coarse',
    async run({ em }) {
      await em.nativeDelete(Thing, { text: { $in: ['one', 'two'] } })
      return [{ key: 1 }, { key: 2 }]
    },
  },
  upsertNew: {
    as: 'captured',
    async run({ em }) {
      await em.upsert(Thing, row(11))
      return [{ key: 11 }]
    },
  },
  upsertExisting: {
    as: 'captured',
    async run({ em }) {
      await em.upsert(Thing, row(1, { text: 'new' }))
      return [{ key: 1 }]
    },
  },
  upsertIgnored: {
    as: 'captured',
    async run({ em }) {
      await em.upsert(Thing, row(1, { text: 'new' }), { onConflictAction: 'ignore' })
      return [{ key: 1, unsure: true }]
    },
  },
  increment: {
    as: 'captured',
    async run({ em }) {
      const found = await em.findOneOrFail(Thing, 1)
      found.version = raw('version + 1')
      await em.flush()
      return [{ key: 1, action: 'update' }]
    },
  },
  manyToManyAdd: {
    as: 'captured',
    prepare: prepareLabels,
    async run({ em }) {
      const box = await em.findOneOrFail(Box, 1, { populate: ['labels'] })
      box.labels.add(em.getReference(Label, 2))
      await em.flush()
      return [
        { entity: 'Box', key: 1, action: 'update' },
        { entity: 'Label', key: 2, action: 'update' },
      ]
    },
  },
  manyToManyRemove: {
    as: 'captured',
    prepare: prepareLabels,
    async run({ em }) {
      const label = await em.findOneOrFail(Label, 1, { populate: ['boxes'] })
      label.boxes.remove(em.getReference(Box, 1))
      await em.flush()
      return [
        { entity: 'Box', key: 1, action: 'update' },
        { entity: 'Label', key: 1, action: 'update' },
      ]
    },
  },
  manyToManySet: {
    as: 'captured',
    prepare: prepareLabels,
    async run({ em }) {
      const box = await em.findOneOrFail(Box, 1, { populate: ['labels'] })
      box.labels.set([em.getReference(Label, 2)])
      await em.flush()
      return [
        { entity: 'Box', key: 1, action: 'update' },
        { entity: 'Label', key: 1, action: 'update' },
        { entity: 'Label', key: 2, action: 'update' },
      ]
    },
  },
  manyToManyAddWithoutLoading: {
    as: 'captured',
    prepare: prepareLabels,
    async run({ em }) {
      const box = await em.findOneOrFail(Box, 1)
      box.labels.add(em.getReference(Label, 2))
      await em.flush()
      return [
        { entity: 'Box', key: 1, action: 'update' },
        { entity: 'Label', key: 2, action: 'update' },
      ]
    },
  },
  applicationCascade: {
    as: 'captured',
    prepare: prepareFolder,
    async run({ em }) {
      em.remove(await em.findOneOrFail(Folder, 1, { populate: ['pages'] }))
      await em.flush()
      return [
        { entity: 'Folder', key: 1, action: 'delete' },
        { entity: 'Page', key: 1, action: 'delete' },
        { entity: 'Page', key: 2, action: 'delete' },
      ]
    },
  },
  orphanRemoval: {
    as: 'captured',
    prepare: prepareFolder,
    async run({ em }) {
      const folder = await em.findOneOrFail(Folder, 1, { populate: ['pages'] })
      folder.pages.remove(em.getReference(Page, 2))
      await em.flush()
      return [{ entity: 'Page', key: 2, action: 'delete' }]
    },
  },
  databaseCascade: {
    as: 'coarse',
    prepare: prepareShelf,
    async run({ em }) {
      em.remove(em.getReference(Shelf, 1))
      await em.flush()
      return [
        { entity: 'Item', key: 1, action: 'delete' },
        { entity: 'Item', key: 2, action: 'delete' },
      ]
    },
  },
  databaseSetNull: {
    as: 'coarse',
    prepare: prepareShelf,
    async run({ em }) {
      em.remove(em.getReference(Shelf, 1))
      await em.flush()
      return [{ entity: 'Note', key: 1, action: 'update' }]
    },
  },
  softDelete: {
    as: 'captured',
    prepare: async ({ em }) => void (await em.insert(Draft, { id: 1, text: 'a', deletedAt: null })),
    async run({ em }) {
      const draft = await em.findOneOrFail(Draft, 1)
      draft.deletedAt = new Date()
      await em.flush()
      return [{ entity: 'Draft', key: 1, action: 'update' }]
    },
  },
  restore: {
    as: 'captured',
    prepare: async ({ em }) => void (await em.insert(Draft, { id: 1, text: 'a', deletedAt: new Date() })),
    async run({ em }) {
      const draft = await em.findOneOrFail(Draft, 1, { filters: false })
      draft.deletedAt = null
      await em.flush()
      return [{ entity: 'Draft', key: 1, action: 'update' }]
    },
  },
  changeKey: {
    as: 'captured',
    async run({ em }) {
      const found = await em.findOneOrFail(Thing, 1)
      found.id = 99
      await em.flush()
      return [
        { key: 1, action: 'delete' },
        { key: 99, action: 'create' },
      ]
    },
  },
  partialLoad: {
    as: 'captured',
    async run({ em }) {
      const found = await em.findOneOrFail(Thing, 1, { fields: ['id', 'text'] })
      wrap(found).assign({ text: 'new' })
      await em.flush()
      return [{ key: 1, action: 'update' }]
    },
  },
  reference: {
    as: 'captured',
    async run({ em }) {
      em.getReference(Thing, 1).text = 'new'
      em.remove(em.getReference(Thing, 2))
      await em.flush()
      return [
        { key: 1, action: 'update' },
        { key: 2, action: 'delete' },
      ]
    },
  },
  insertEntity: {
    as: 'captured',
    async run({ em }) {
      await em.insert(em.create(Thing, row(11), { persist: false }))
      return [{ key: 11, action: 'create' }]
    },
  },
  insertData: {
    as: 'captured',
    async run({ em }) {
      await em.insert(Thing, row(11))
      return [{ key: 11, action: 'create' }]
    },
  },
  nativeByKey: {
    as: 'captured',
    async run({ em }) {
      await em.nativeUpdate(Thing, { id: 1 }, { done: true })
      await em.nativeUpdate(Thing, { id: { $in: [2] }, done: false }, { version: raw<number>('version + 1') })
      await em.nativeDelete(Thing, 3)
      return [
        { key: 1, action: 'update' },
        { key: 2, action: 'update' },
        { key: 3, action: 'delete' },
      ]
    },
  },
  clone: {
    as: 'captured',
    prepare: async ({ em }) => void (await em.insert(Shelf, { id: 1, name: 'one' })),
    async run({ em }) {
      const { id } = await em.clone(Shelf, { id: 1 })
      return [{ entity: 'Shelf', key: id, action: 'create' }]
    },
  },
  queryBuilder: {
    as: 'coarse',
    async run({ em }) {
      await em.createQueryBuilder(Thing).update({ done: true }).where({ text: 'one' }).execute()
      return [{ key: 1 }]
    },
  },
  queryBuilderOfMany: {
    as: 'coarse',
    prepare: prepareLabels,
    async run({ em }) {
      await em.execute('delete from box_labels where box_id = 1')
      return [
        { entity: 'Box', key: 1 },
        { entity: 'Label', key: 1 },
      ]
    },
  },
  kysely: {
    as: 'coarse',
    async run({ em }) {
      await em.getKysely<Record<string, Record<string, unknown>>>().updateTable(TABLE).set({ text: 'new' }).execute()
      return [{ key: 1 }]
    },
  },
  rawSql: {
    as: 'coarse',
    async run({ em }) {
      await em.execute("update things set text = 'new' where id = 1")
      return [{ key: 1 }]
    },
  },
  rawCascade: {
    as: 'coarse',
    prepare: prepareShelf,
    async run({ em }) {
      await em.execute('delete from shelf where id = 1')
      return [
        { entity: 'Shelf', key: 1 },
        { entity: 'Item', key: 1 },
        { entity: 'Note', key: 1 },
      ]
    },
  },
}

async function prepareLabels({ em }: MikroWriter): Promise<void> {
  const [first] = [1, 2].map((id) => em.create(Label, { id }))
  const box = em.create(Box, { id: 1 })
  if (first !== undefined) box.labels.add(first)
  await em.flush()
}

async function prepareFolder({ em }: MikroWriter): Promise<void> {
  const folder = em.create(Folder, { id: 1 })
  for (const id of [1, 2]) em.create(Page, { id, folder })
  await em.flush()
}

async function prepareShelf({ em }: MikroWriter): Promise<void> {
  const shelf = em.create(Shelf, { id: 1, name: 'one' })
  for (const id of [1, 2]) em.create(Item, { id, shelf })
  em.create(Note, { id: 1, shelf })
  await em.flush()
}
