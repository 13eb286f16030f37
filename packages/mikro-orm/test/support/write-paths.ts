import { type QueryResult, raw, wrap } from '@mikro-orm/core'
import { type ChangeSourceFactory, type ExpectedChange, type Thing as ThingRow, thing } from '@rtapi/testing'
import type { DatabaseName } from './databases.ts'
import {
  Box,
  Crate,
  Draft,
  Employee,
  Folder,
  Item,
  Label,
  Note,
  Page,
  Peg,
  Person,
  Pin,
  Rack,
  Sample,
  Seat,
  Shelf,
  Slot,
  Tag,
  Thing,
} from './entities.ts'
import type { MikroWriter } from './mikro-writer.ts'

type Paths = ChangeSourceFactory<MikroWriter>['paths']

const TABLE = 'things'

function row(id: number, fields: Partial<ThingRow> = {}): never {
  const { happenedAt: _, total: __, ...rest } = thing({ id, ...fields })
  return rest as never
}

/** The ways in which MikroORM writes records besides one by one, and what the source makes of each. */
export function writePaths(database: DatabaseName): Paths {
  const isMariaDb = database === 'mariadb'
  return {
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
    bulkInsertOfGeneratedKeys: {
      as: 'captured',
      async run({ em }) {
        await em.insertMany(
          Shelf,
          ['a', 'b', 'c'].map((name) => ({ name })),
        )
        const made = await em.find(Shelf, {})
        return made.map(({ id }) => ({ entity: 'Shelf', key: id, action: 'create' }))
      },
    },
    bulkInsertOfSomeGeneratedKeys:
      database === 'sqlite'
        ? { absent: 'on SQLite MikroORM inserts keys of all rows or of none' }
        : {
            // Where the database answers the first key alone, the others cannot be told.
            as: isMariaDb ? 'coarse' : 'captured',
            async run({ em }) {
              await em.insertMany(Shelf, [{ name: 'a' }, { id: 7, name: 'b' }])
              const made = await em.find(Shelf, {})
              return made.map(({ id }) => ({ entity: 'Shelf', key: id, action: 'create' }))
            },
          },
    bulkUpdate: {
      as: 'captured',
      async run({ em }) {
        const where = { text: { $in: ['one', 'two'] } }
        equal(await em.nativeUpdate(Thing, where, { done: true }), 2)
        return updated(1, 2)
      },
    },
    bulkUpdateOfNothing: {
      as: 'captured',
      async run({ em }) {
        equal(await em.nativeUpdate(Thing, { text: 'nothing' }, { done: true }), 0)
        equal(await em.nativeDelete(Thing, { text: 'nothing' }), 0)
        equal(await em.nativeUpdate(Thing, { text: 'one' }, { text: 'one' }), 1)
        return updated(1)
      },
    },
    bulkUpdateOfAll: {
      as: 'captured',
      async run({ em }) {
        equal(await em.nativeUpdate(Thing, {}, { version: raw<number>('version + 1') }), 3)
        return updated(1, 2, 3)
      },
    },
    bulkUpdateBySomeKeys: {
      as: 'captured',
      async run({ em }) {
        equal(await em.nativeUpdate(Thing, { id: { $in: [1, 404] } }, { done: true }), 1)
        return updated(1)
      },
    },
    bulkUpdateByFragment: {
      as: 'captured',
      async run({ em }) {
        equal(await em.nativeUpdate(Thing, { [raw('lower(text)')]: 'one', [raw('id + ?', [1])]: 2 }, { done: true }), 1)
        return updated(1)
      },
    },
    bulkUpdateThroughRelation: {
      as: 'captured',
      prepare: prepareShelf,
      async run({ em }) {
        await em.insert(Shelf, { id: 2, name: 'two' })
        equal(await em.nativeUpdate(Item, { shelf: { name: 'one' } }, { shelf: 2 }), 2)
        return [{ entity: 'Shelf', key: 2, action: 'create' }, ...updatedOf('Item', 1, 2)]
      },
    },
    bulkUpdateThroughManyToMany: {
      as: 'captured',
      prepare: async ({ em }) => {
        for (const [id, name] of ['one', 'two'].entries()) {
          await em.insert(Draft, { id: id + 1, text: name, deletedAt: null })
        }
        await em.insertMany(Label, [{ id: 1 }, { id: 2 }])
        await em.insert(Crate, { id: 1, labels: [1, 2] })
      },
      async run({ em }) {
        equal(await em.nativeUpdate(Tag, { crate: { labels: { id: 1 } } }, { note: 'new' }), 2)
        return [
          ...updatedOf('Crate', 1),
          ...updatedOf('Label', 1, 2),
          { entity: 'Tag', key: [1, 1], action: 'update' },
          { entity: 'Tag', key: [1, 2], action: 'update' },
        ]
      },
    },
    bulkUpdateWithFilter: {
      as: 'captured',
      prepare: prepareDrafts,
      async run({ em }) {
        equal(await em.nativeUpdate(Draft, {}, { text: 'new' }), 1)
        return updatedOf('Draft', 1)
      },
    },
    bulkUpdateOfSubclass: {
      as: 'captured',
      prepare: async ({ em }) => {
        em.create(Person, { id: 1, name: 'one' })
        for (const id of [2, 3]) em.create(Employee, { id, name: 'more' })
        await em.flush()
      },
      async run({ em }) {
        equal(await em.nativeUpdate(Employee, {}, { salary: 7 }), 2)
        return updatedOf('Person', 2, 3)
      },
    },
    bulkUpdateOfCompositeKeys: {
      as: 'captured',
      prepare: async ({ em }) => {
        const shelf = em.create(Shelf, { id: 1, name: 'one' })
        for (const number of [1, 2]) em.create(Seat, { shelf, number, taken: false })
        await em.flush()
      },
      async run({ em }) {
        equal(await em.nativeUpdate(Seat, { taken: false, number: { $lt: 2 } }, { taken: true }), 1)
        equal(await em.nativeDelete(Seat, { taken: false }), 1)
        return [
          { entity: 'Seat', key: [1, 1], action: 'update' },
          { entity: 'Seat', key: [1, 2], action: 'delete' },
        ]
      },
    },
    bulkUpdateOfVersioned: {
      as: 'captured',
      prepare: async ({ em }) => {
        em.create(Sample, { name: 'a', memo: 'old', place: { city: 'Rome' } })
        await em.flush()
      },
      async run({ em }) {
        equal(await em.nativeUpdate(Sample, { memo: 'old' }, { memo: 'new' }), 1)
        equal(await em.nativeUpdate(Sample, { place: { city: 'Rome' } }, { level: 2 }), 1)
        return updatedOf('Sample', 'a')
      },
    },
    bulkChangeKey: {
      as: 'captured',
      async run({ em }) {
        equal(await em.nativeUpdate(Thing, { text: 'one' }, { id: 99 }), 1)
        equal(await em.nativeUpdate(Thing, { id: 2 }, { id: 98, done: true }), 1)
        return [
          { key: 1, action: 'delete' },
          { key: 99, action: 'create' },
          { key: 2, action: 'delete' },
          { key: 98, action: 'create' },
        ]
      },
    },
    bulkChangePartOfKey: {
      as: 'captured',
      prepare: async ({ em }) => {
        for (const id of [1, 2]) em.create(Shelf, { id, name: 'any' })
        for (const number of [1, 2]) em.create(Seat, { shelf: 1, number, taken: false })
        await em.flush()
      },
      async run({ em }) {
        equal(await em.nativeUpdate(Seat, { taken: false }, { shelf: 2 }), 2)
        return [1, 2].flatMap((number) => [
          { entity: 'Seat', key: [1, number], action: 'delete' as const },
          { entity: 'Seat', key: [2, number], action: 'create' as const },
        ])
      },
    },
    bulkChangeKeyByFragment: {
      // What the database makes of it, it does not say.
      as: 'coarse',
      async run({ em }) {
        await em.nativeUpdate(Thing, { text: 'one' }, { id: raw<number>('id + 100') })
        return [{ key: 1 }, { key: 101 }]
      },
    },
    bulkUpdateOfThousands: {
      as: 'coarse',
      prepare: prepareThousands,
      async run({ em }) {
        equal(await em.nativeUpdate(Label, {}, { id: raw<number>('id + 0') }), 2_000)
        await em.nativeDelete(Label, {})
        return [{ entity: 'Label', key: 1 }]
      },
    },
    bulkUpdateLimited: { absent: 'MikroORM limits no updates' },
    bulkDelete: {
      as: 'captured',
      async run({ em }) {
        equal(await em.nativeDelete(Thing, { text: { $in: ['one', 'two'] } }), 2)
        return deletedOf('Thing', 1, 2)
      },
    },
    bulkDeleteBySomeKeys: {
      as: 'captured',
      async run({ em }) {
        equal(await em.nativeDelete(Thing, { id: [1, 2, 404] }), 2)
        return deletedOf('Thing', 1, 2)
      },
    },
    flushOfThousands: {
      as: 'captured',
      async run({ em }) {
        const ids = Array.from({ length: 2_000 }, (_, i) => i + 1)
        for (const id of ids) em.create(Label, { id })
        await em.flush()
        return ids.map((key) => ({ entity: 'Label', key, action: 'create' }))
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
    upsertByOtherKey: {
      as: 'captured',
      async run({ em }) {
        await em.nativeUpdate(Thing, 1, { code: 'A' })
        const { id: _, ...rest } = row(0, { code: 'A', text: 'new' }) as object as ThingRow
        await em.upsert(Thing, rest as never, { onConflictFields: ['code'] })
        return updated(1)
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
    manyToManySetWithoutLoading: {
      as: 'captured',
      prepare: prepareLabels,
      async run({ em }) {
        const box = await em.findOneOrFail(Box, 1)
        box.labels.set([em.getReference(Label, 2)])
        await em.flush()
        return [...updatedOf('Box', 1), ...updatedOf('Label', 1, 2)]
      },
    },
    manyToManySetInData: {
      as: 'captured',
      prepare: prepareLabels,
      async run({ em }) {
        await em.nativeUpdate(Box, { id: 1 }, { labels: [2] })
        return [...updatedOf('Box', 1), ...updatedOf('Label', 1, 2)]
      },
    },
    manyToManyCollectionOfEntity: {
      as: 'captured',
      prepare: prepareTags,
      async run({ em }) {
        const crate = await em.findOneOrFail(Crate, 1, { populate: ['labels'] })
        crate.labels.remove(em.getReference(Label, 1))
        crate.labels.add(em.getReference(Label, 3))
        await em.flush()
        return [
          ...updatedOf('Crate', 1),
          ...updatedOf('Label', 1, 3),
          { entity: 'Tag', key: [1, 1], action: 'delete' },
          { entity: 'Tag', key: [1, 3], action: 'create' },
        ]
      },
    },
    manyToManyByEntity: {
      as: 'captured',
      prepare: prepareTags,
      async run({ em }) {
        em.remove(await em.findOneOrFail(Tag, { crate: 1, label: 1 }))
        em.create(Tag, { crate: 1, label: 3, note: '' })
        await em.flush()
        return [
          ...updatedOf('Crate', 1),
          ...updatedOf('Label', 1, 3),
          { entity: 'Tag', key: [1, 1], action: 'delete' },
          { entity: 'Tag', key: [1, 3], action: 'create' },
        ]
      },
    },
    manyToManyThroughEntity: {
      as: 'captured',
      prepare: prepareTags,
      async run({ em }) {
        equal(await em.nativeUpdate(Tag, { label: 1 }, { label: 3 }), 1)
        equal(await em.nativeDelete(Tag, { label: 2 }), 1)
        return [
          ...updatedOf('Crate', 1),
          ...updatedOf('Label', 1, 2, 3),
          { entity: 'Tag', key: [1, 1], action: 'delete' },
          { entity: 'Tag', key: [1, 3], action: 'create' },
          { entity: 'Tag', key: [1, 2], action: 'delete' },
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
    databaseCascadeNamed: {
      as: 'captured',
      prepare: prepareRacks,
      async run({ em }) {
        em.remove(em.getReference(Rack, 1))
        await em.flush()
        return [...deletedOf('Rack', 1), ...deletedOf('Slot', 1, 2), ...deletedOf('Pin', 1, 2), ...updatedOf('Peg', 1)]
      },
    },
    bulkDeleteCascadeNamed: {
      as: 'captured',
      prepare: prepareRacks,
      async run({ em }) {
        equal(await em.nativeDelete(Rack, { name: { $ne: 'two' } }), 1)
        return [...deletedOf('Rack', 1), ...deletedOf('Slot', 1, 2), ...deletedOf('Pin', 1, 2), ...updatedOf('Peg', 1)]
      },
    },
    queryBuilderCascadeNamed: {
      as: 'captured',
      prepare: prepareRacks,
      async run({ em }) {
        const { affectedRows } = await em
          .createQueryBuilder(Slot)
          .delete({ rack: { name: 'one' } })
          .execute('run')
        equal(affectedRows, 2)
        return [...deletedOf('Slot', 1, 2), ...deletedOf('Pin', 1, 2)]
      },
    },
    databaseKeyCascade: {
      as: 'coarse',
      prepare: prepareShelf,
      async run({ em }) {
        await em.nativeDelete(Note, { id: 1 })
        await em.nativeUpdate(Shelf, { id: 1 }, { id: 9 })
        return [
          { entity: 'Item', key: 1, action: 'update' },
          { entity: 'Item', key: 2, action: 'update' },
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
      as: 'captured',
      async run({ em }) {
        const { affectedRows, rows } = await em
          .createQueryBuilder(Thing)
          .update({ done: true })
          .where({ text: 'one' })
          .execute()
        equal([affectedRows, rows], [1, []])
        // MariaDB deletes from no table that has been given another name.
        const deleted = await em
          .createQueryBuilder(Thing, isMariaDb ? undefined : 't')
          .delete({ text: 'two' })
          .execute()
        equal([deleted.affectedRows, deleted.rows], [1, []])
        return [...updated(1), ...deletedOf('Thing', 2)]
      },
    },
    queryBuilderInsert: {
      as: 'captured',
      async run({ em }) {
        await em
          .createQueryBuilder(Thing)
          .insert([row(11), row(12)])
          .execute()
        const { insertId, row: made } = await em.createQueryBuilder(Shelf).insert({ name: 'a' }).execute()
        const shelf = await em.findOneOrFail(Shelf, { name: 'a' })
        equal(insertId ?? made, isMariaDb ? shelf.id : { id: shelf.id })
        return [
          { key: 11, action: 'create' },
          { key: 12, action: 'create' },
          { entity: 'Shelf', key: shelf.id, action: 'create' },
        ]
      },
    },
    queryBuilderInsertOfGeneratedKeys: {
      as: isMariaDb ? 'coarse' : 'captured',
      async run({ em }) {
        await em
          .createQueryBuilder(Shelf)
          .insert([{ name: 'a' }, { name: 'b' }])
          .execute()
        const made = await em.find(Shelf, {})
        return made.map(({ id }) => ({ entity: 'Shelf', key: id, action: 'create' }))
      },
    },
    queryBuilderInsertFrom: {
      as: isMariaDb ? 'coarse' : 'captured',
      prepare: prepareShelf,
      async run({ em }) {
        const query = em.createQueryBuilder(Shelf, 's').select('name')
        await em
          .createQueryBuilder(Shelf)
          .insertFrom(query, { columns: ['name'] })
          .execute()
        const made = await em.find(Shelf, { id: { $ne: 1 } })
        return made.map(({ id }) => ({ entity: 'Shelf', key: id, action: 'create' }))
      },
    },
    queryBuilderUpsert: {
      as: isMariaDb ? 'coarse' : 'captured',
      async run({ em }) {
        await em
          .createQueryBuilder(Thing)
          .insert([row(1, { text: 'new' }), row(11)])
          .onConflict('id')
          .merge(['text'])
          .execute()
        await em.createQueryBuilder(Thing).insert(row(2)).onConflict('id').ignore().execute()
        return [{ key: 1 }, { key: 11 }]
      },
    },
    queryBuilderUpsertOfOtherKey: {
      // The row that is there is given another key, and its old one is not answered.
      as: 'coarse',
      async run({ em }) {
        await em.nativeUpdate(Thing, 1, { code: 'A' })
        await em
          .createQueryBuilder(Thing)
          .insert(row(11, { code: 'A' }))
          .onConflict('code')
          .merge()
          .execute()
        return [{ key: 1 }, { key: 11 }]
      },
    },
    queryBuilderReturning: isMariaDb
      ? { absent: 'MikroORM asks no rows of an update on MariaDB' }
      : {
          as: 'captured',
          async run({ em }) {
            const query = em.createQueryBuilder(Thing).update({ done: true }).where({ text: 'one' }).returning('text')
            equal(await query.execute('all', { mapResults: false }), [{ text: 'one' }])
            const other = em.createQueryBuilder(Thing).update({ done: true }).where({ text: 'two' }).returning('text')
            equal(((await other.execute('run')) as unknown as QueryResult).rows, [{ text: 'two' }])
            return updated(1, 2)
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
    truncate: isMariaDb
      ? { absent: 'it commits the transaction' }
      : {
          as: 'coarse',
          prepare: async ({ em }) => void (await em.insert(Note, { id: 1, shelf: null })),
          async run({ em }) {
            await em.createQueryBuilder(Note).truncate().execute()
            return [{ entity: 'Note', key: 1 }]
          },
        },
    procedure:
      database === 'sqlite'
        ? { absent: 'there are no procedures' }
        : {
            as: { notCaptured: 'what it does is not in the statement' },
            prepare: async ({ em }) => {
              const statement = "update things set text = 'new' where id = 1"
              const body = isMariaDb ? statement : `language sql as '${statement.replaceAll("'", "''")}'`
              await em.execute(`create or replace procedure renew_things() ${body}`)
            },
            async run({ em }) {
              await em.execute('call renew_things()')
              return [{ key: 1 }]
            },
          },
    rawKeyCascade: {
      as: 'coarse',
      prepare: prepareShelf,
      async run({ em }) {
        await em.nativeDelete(Note, { id: 1 })
        await em.execute('update shelf set name = ?, id = 9 where id = 1', ['new'])
        return [
          { entity: 'Shelf', key: 1 },
          { entity: 'Item', key: 1 },
        ]
      },
    },
    rawPivot: {
      as: 'coarse',
      prepare: prepareTags,
      async run({ em }) {
        await em.execute('insert into tag (crate_id, label_id) values (1, 3)')
        return [
          { entity: 'Tag', key: [1, 3] },
          { entity: 'Crate', key: 1 },
          { entity: 'Label', key: 3 },
        ]
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
}

function updated(...keys: readonly number[]): ExpectedChange[] {
  return updatedOf('Thing', ...keys)
}

function updatedOf(entity: string, ...keys: readonly (number | string)[]): ExpectedChange[] {
  return keys.map((key) => ({ entity, key, action: 'update' }))
}

function deletedOf(entity: string, ...keys: readonly number[]): ExpectedChange[] {
  return keys.map((key) => ({ entity, key, action: 'delete' }))
}

/** What MikroORM answers is what it answers without captures. */
function equal(actual: unknown, expected: unknown): void {
  const texts = [actual, expected].map((value) => JSON.stringify(value))
  if (texts[0] !== texts[1]) throw new Error(`MikroORM answered ${texts[0]}, not ${texts[1]}`)
}

async function prepareThousands({ em }: MikroWriter): Promise<void> {
  await em.insertMany(
    Label,
    Array.from({ length: 2_000 }, (_, i) => ({ id: i + 1 })),
  )
}

async function prepareDrafts({ em }: MikroWriter): Promise<void> {
  await em.insert(Draft, { id: 1, text: 'a', deletedAt: null })
  await em.insert(Draft, { id: 2, text: 'b', deletedAt: new Date() })
}

async function prepareTags({ em }: MikroWriter): Promise<void> {
  const crate = em.create(Crate, { id: 1 })
  for (const id of [1, 2, 3]) em.create(Label, { id })
  await em.flush()
  for (const label of [1, 2]) em.create(Tag, { crate, label, note: '' })
  await em.flush()
}

async function prepareRacks({ em }: MikroWriter): Promise<void> {
  const [one, two] = ['one', 'two'].map((name, i) => em.create(Rack, { id: i + 1, name }))
  for (const [id, rack] of [one, one, two].entries()) {
    const slot = em.create(Slot, { id: id + 1, rack: rack ?? 0 })
    em.create(Pin, { id: id + 1, slot })
  }
  em.create(Peg, { id: 1, rack: one ?? null })
  em.create(Peg, { id: 2, rack: two ?? null })
  await em.flush()
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
