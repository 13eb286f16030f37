import { type ChangeSourceFactory, type Thing as ThingRow, thing } from '@rtapi/testing'
import { Op, QueryTypes, literal } from 'sequelize'
import type { DatabaseName } from './databases.ts'
import type { SequelizeWriter } from './sequelize-writer.ts'

type Paths = ChangeSourceFactory<SequelizeWriter>['paths']

const row = (id: number, fields: Partial<ThingRow> = {}) => ({ ...thing({ id, ...fields }) })

/** The ways in which Sequelize writes records besides one by one, and what the source makes of each. */
export function writePaths(database: DatabaseName): Paths {
  const isPostgres = database === 'postgres'
  const isMysql = database === 'mariadb' || database === 'mysql'
  return {
    bulkInsert: {
      as: 'captured',
      async run({ models: { Thing }, options }) {
        await Thing.bulkCreate([row(11), row(12)], options)
        return [
          { key: 11, action: 'create' },
          { key: 12, action: 'create' },
        ]
      },
    },
    bulkInsertOfGeneratedKeys: {
      as: 'captured',
      async run({ models: { Shelf }, options }) {
        await Shelf.bulkCreate([{ name: 'a' }, { name: 'b' }], options)
        const made = await Shelf.findAll({ where: { name: ['a', 'b'] }, ...options })
        return made.map((shelf) => ({ entity: 'Shelf', key: shelf.get('id') as number, action: 'create' as const }))
      },
    },
    bulkInsertIgnoringConflicts: {
      as: 'captured',
      async run({ models: { Thing }, options }) {
        await Thing.bulkCreate([row(1, { text: 'new' }), row(11)], { ...options, ignoreDuplicates: true })
        return [{ key: 1, unsure: true }, { key: 11 }]
      },
    },
    bulkInsertUpdatingConflicts: {
      as: 'captured',
      async run({ models: { Thing }, options }) {
        const updateOnDuplicate = ['text'] as never[]
        await Thing.bulkCreate([row(1, { text: 'new' }), row(11)], { ...options, ...conflictOnKey, updateOnDuplicate })
        return [{ key: 1 }, { key: 11 }]
      },
    },
    bulkInsertUpdatingOtherConflicts: {
      // The row that is updated is not the one of the given key.
      as: 'captured',
      async run({ models: { Thing }, options }) {
        await Thing.update({ code: 'A' }, { where: { id: 1 }, ...options })
        const updateOnDuplicate = ['text'] as never[]
        await Thing.bulkCreate([row(11, { code: 'A', text: 'new' })], { ...options, updateOnDuplicate })
        return [{ key: 1, action: 'update' }]
      },
    },
    bulkUpdate: {
      as: 'captured',
      async run({ models: { Thing }, options }) {
        await Thing.update({ done: true }, { where: { text: ['one', 'two'] }, ...options })
        return [{ key: 1 }, { key: 2 }]
      },
    },
    bulkUpdateReturning: isPostgres
      ? {
          as: 'captured',
          async run({ models: { Thing }, options }) {
            await Thing.update({ done: true }, { where: { text: ['one', 'two'] }, returning: true, ...options })
            return [
              { key: 1, action: 'update' },
              { key: 2, action: 'update' },
            ]
          },
        }
      : { absent: 'only PostgreSQL hands back the rows of an update' },
    bulkUpdateLimited: {
      // Which of several rows MariaDB and MySQL take, they do not say.
      as: isMysql ? 'coarse' : 'captured',
      async run({ models: { Thing }, options }) {
        await Thing.update({ done: true }, { where: { text: 'one' }, limit: 1, ...options })
        return [{ key: 1 }]
      },
    },
    bulkUpdateByKey: {
      as: 'captured',
      async run({ models: { Thing }, options }) {
        await Thing.update({ done: true }, { where: { id: 1 }, ...options })
        await Thing.update(
          { done: true },
          { where: { [Op.and]: [{ done: false }, { id: { [Op.in]: [2] } }] }, ...options },
        )
        await Thing.update(
          { version: literal('version + 1') as never },
          { where: { id: [3] }, hooks: false, ...options },
        )
        return [1, 2, 3].map((key) => ({ key, action: 'update' as const }))
      },
    },
    bulkUpdateOneByOne: {
      as: 'captured',
      async run({ models: { Thing }, options }) {
        await Thing.update({ done: true }, { where: { text: ['one', 'two'] }, individualHooks: true, ...options })
        return [{ key: 1 }, { key: 2 }]
      },
    },
    bulkUpdateOfThousands: {
      // Of so many the keys are not asked for.
      as: 'coarse',
      prepare: prepareNotes(2_000),
      async run({ models: { Note }, options }) {
        await Note.update({ text: 'new' }, { where: { text: 'old' }, ...options })
        return [{ entity: 'Note', key: 1 }]
      },
    },
    bulkDelete: {
      as: 'captured',
      async run({ models: { Thing }, options }) {
        await Thing.destroy({ where: { text: ['one', 'two'] }, ...options })
        return [{ key: 1 }, { key: 2 }]
      },
    },
    bulkDeleteByKey: {
      as: 'captured',
      async run({ models: { Thing }, options }) {
        await Thing.destroy({ where: { id: [1, 2] }, ...options })
        return [
          { key: 1, action: 'delete' },
          { key: 2, action: 'delete' },
        ]
      },
    },
    bulkDeleteBySomeKeys: {
      as: 'captured',
      async run({ models: { Thing }, options }) {
        await Thing.destroy({ where: { id: [1, 404] }, ...options })
        return [{ key: 1, action: 'delete' }]
      },
    },
    bulkInsertOfThousands: {
      // Their keys are in hand.
      as: 'captured',
      async run({ models: { Note }, options }) {
        const keys = Array.from({ length: 2_000 }, (_, i) => i + 1)
        await Note.bulkCreate(
          keys.map((id) => ({ id })),
          options,
        )
        return keys.map((key) => ({ entity: 'Note', key, action: 'create' as const }))
      },
    },
    bulkUpdateOfHundreds: {
      as: 'captured',
      prepare: prepareNotes(900),
      async run({ models: { Note }, options }) {
        await Note.update({ text: 'new' }, { where: { text: 'old' }, ...options })
        return Array.from({ length: 900 }, (_, i) => ({ entity: 'Note', key: i + 1, action: 'update' as const }))
      },
    },
    bulkDeleteOfThousands: {
      // More than are named one by one.
      as: 'coarse',
      prepare: prepareNotes(2_000),
      async run({ models: { Note }, options }) {
        await Note.destroy({ where: { text: 'old' }, ...options })
        return [{ entity: 'Note', key: 1, action: 'delete' }]
      },
    },
    bulkUpdateOfAll: {
      as: 'coarse',
      async run({ models: { Thing }, options }) {
        await Thing.update({ done: true }, { where: {}, ...options })
        return [{ key: 1 }, { key: 2 }, { key: 3 }]
      },
    },
    bulkUpdateByExpression: {
      // What it comes to may differ from the selection to the update.
      as: isMysql ? 'coarse' : 'captured',
      async run({ models: { Thing }, options }) {
        await Thing.update({ done: true }, { where: literal("text = 'one' or id = 2"), ...options })
        return [{ key: 1 }, { key: 2 }]
      },
    },
    bulkUpdateByOtherTexts: {
      // The condition writes the key otherwise than the record.
      as: 'captured',
      prepare: async ({ models: { Sample } }) => void (await Sample.create({ name: 'a' })),
      async run({ models: { Sample }, options }) {
        await Sample.update(
          { memo: 'new' },
          { where: { name: { [Op.in]: isMysql ? ['A', 'b'] : ['a', 'b'] } }, ...options },
        )
        return [{ entity: 'Sample', key: 'a', action: 'update' }]
      },
    },
    bulkDeleteLimited: {
      as: 'captured',
      async run({ models: { Thing }, options }) {
        await Thing.destroy({ where: { text: ['one', 'four'] }, limit: 1, ...options })
        return [{ key: 1, action: 'delete' }]
      },
    },
    bulkUpdateOfCompositeKeys: {
      as: 'captured',
      prepare: prepareLabels,
      async run({ models: { BoxLabel }, options }) {
        await BoxLabel.update({ note: 'new' }, { where: { note: null as never, boxId: { [Op.gte]: 1 } }, ...options })
        return [
          { entity: 'BoxLabel', key: [1, 1], action: 'update' },
          { entity: 'Box', key: 1, action: 'update' },
          { entity: 'Label', key: 1, action: 'update' },
        ]
      },
    },
    bulkInsertIgnoringConflictsOfGeneratedKeys: {
      as: 'captured',
      async run({ models: { Thing }, options }) {
        await Thing.update({ code: 'A' }, { where: { id: 1 }, ...options })
        const { id: _, ...rest } = row(0)
        const records = ['A', 'B'].map((code) => ({ ...rest, code }))
        await Thing.bulkCreate(records, { ...options, ignoreDuplicates: true })
        const made = await Thing.findOne({ where: { code: 'B' }, ...options, rejectOnEmpty: true })
        return [{ key: 1, action: 'update' }, { key: made.get('id') as number }]
      },
    },
    bulkInsertUpdatingConflictsOfGeneratedKeys: {
      as: 'captured',
      async run({ models: { Thing }, options }) {
        await Thing.update({ code: 'A' }, { where: { id: 1 }, ...options })
        const { id: _, ...rest } = row(0, { text: 'new' })
        const records = ['A', 'B'].map((code) => ({ ...rest, code }))
        await Thing.bulkCreate(records, { ...options, updateOnDuplicate: ['text'] as never[] })
        const made = await Thing.findOne({ where: { code: 'B' }, ...options, rejectOnEmpty: true })
        return [{ key: 1 }, { key: made.get('id') as number }]
      },
    },
    bulkInsertOfSomeGeneratedKeys: {
      // MariaDB and MySQL say which key they have made first, but not of which record.
      as: isMysql ? 'coarse' : 'captured',
      async run({ models: { Shelf }, options }) {
        await Shelf.bulkCreate([{ id: 1, name: 'a' }, { name: 'b' }], options)
        const made = await Shelf.findOne({ where: { name: 'b' }, ...options, rejectOnEmpty: true })
        return [
          { entity: 'Shelf', key: 1, action: 'create' },
          { entity: 'Shelf', key: made.get('id') as number, action: 'create' },
        ]
      },
    },
    bulkInsertAnsweringNothing: {
      as: 'captured',
      async run({ models: { Shelf }, options }) {
        await Shelf.bulkCreate([{ name: 'a' }], { ...options, returning: false })
        const made = await Shelf.findOne({ where: { name: 'a' }, ...options, rejectOnEmpty: true })
        return [{ entity: 'Shelf', key: made.get('id') as number, action: 'create' }]
      },
    },
    upsertWithBothKeys: {
      // MariaDB and MySQL would give the key to a row that conflicts by the other one.
      as: isMysql ? 'coarse' : 'captured',
      async run({ models: { Thing }, options }) {
        await Thing.update({ code: 'A' }, { where: { id: 1 }, ...options })
        await Thing.upsert(row(1, { code: 'A', text: 'new' }), options)
        return [{ key: 1, action: 'update' }]
      },
    },
    upsertNew: {
      as: 'captured',
      async run({ models: { Thing }, options }) {
        await Thing.upsert(row(11), options)
        return [{ key: 11 }]
      },
    },
    upsertExisting: {
      as: 'captured',
      async run({ models: { Thing }, options }) {
        await Thing.upsert(row(1, { text: 'new' }), options)
        return [{ key: 1 }]
      },
    },
    upsertByOtherKey: {
      as: 'captured',
      async run({ models: { Thing }, options }) {
        await Thing.update({ code: 'A' }, { where: { id: 1 }, ...options })
        const { id: _, ...rest } = row(0, { code: 'A', text: 'new' })
        await Thing.upsert(rest, { ...options, conflictFields: ['code'] as never[] })
        return [{ key: 1, action: 'update' }]
      },
    },
    upsertMovingKey: isPostgres
      ? {
          // The record had another key, and nobody says which.
          as: 'coarse',
          async run({ models: { Thing }, options }) {
            await Thing.update({ code: 'A' }, { where: { id: 1 }, ...options })
            await Thing.upsert(row(11, { code: 'A' }), { ...options, conflictFields: ['code'] as never[] })
            return [{ key: 1 }, { key: 11 }]
          },
        }
      : { absent: 'it is an upsert by another unique field' },
    bulkInsertMovingKey: isPostgres
      ? {
          as: 'coarse',
          async run({ models: { Thing }, options }) {
            await Thing.update({ code: 'A' }, { where: { id: 1 }, ...options })
            const conflict = { updateOnDuplicate: ['id', 'text'] as never[], conflictAttributes: ['code'] as never[] }
            await Thing.bulkCreate([row(11, { code: 'A' })], { ...options, ...conflict })
            return [{ key: 1 }, { key: 11 }]
          },
        }
      : { absent: 'it updates the record under its key' },
    upsertIgnored: { absent: 'Sequelize has no upsert that leaves a record as it is' },
    increment: {
      as: 'captured',
      async run({ models: { Thing }, options }) {
        await (await Thing.findByPk(1, { ...options, rejectOnEmpty: true })).increment('version', options)
        await Thing.decrement({ version: 2, quantity: 1 }, { where: { id: 2 }, ...options })
        return [
          { key: 1, action: 'update' },
          { key: 2, action: 'update' },
        ]
      },
    },
    incrementOfMany: {
      as: 'captured',
      async run({ models: { Thing }, options }) {
        await Thing.increment('version', { where: { text: 'one' }, ...options })
        return [{ key: 1 }]
      },
    },
    findOrCreate: {
      as: 'captured',
      async run({ models: { Thing }, options }) {
        const { id: _, ...defaults } = row(11)
        await Thing.findOrCreate({ where: { id: 1 }, defaults, ...options })
        await Thing.findOrCreate({ where: { id: 11 }, defaults, ...options })
        return [{ key: 11, action: 'create' }]
      },
    },
    createIgnoringConflicts: {
      as: 'captured',
      async run({ models: { Thing }, options }) {
        await Thing.create(row(1, { text: 'new' }), { ...options, ignoreDuplicates: true }).catch(() => {})
        await Thing.create(row(11), { ...options, ignoreDuplicates: true })
        return [{ key: 11, action: 'create' }]
      },
    },
    withoutHooks: {
      as: 'captured',
      async run({ models: { Thing }, options }) {
        const made = await Thing.create(row(11), { ...options, hooks: false })
        await made.update({ text: 'new' }, { ...options, hooks: false })
        await made.destroy({ ...options, hooks: false })
        await Thing.destroy({ where: { id: 1 }, hooks: false, ...options })
        return [
          { key: 11, unsure: true },
          { key: 1, action: 'delete' },
        ]
      },
    },
    manyToManyAdd: {
      as: 'captured',
      prepare: prepareLabels,
      async run({ models: { Box }, options }) {
        const box = await Box.findByPk(1, { ...options, rejectOnEmpty: true })
        await call(box, 'addLabel', 2, options)
        return [
          { entity: 'BoxLabel', key: [1, 2], action: 'create' },
          { entity: 'Box', key: 1, action: 'update' },
          { entity: 'Label', key: 2, action: 'update' },
        ]
      },
    },
    manyToManyRemove: {
      as: 'captured',
      prepare: prepareLabels,
      async run({ models: { Label }, options }) {
        const label = await Label.findByPk(1, { ...options, rejectOnEmpty: true })
        await call(label, 'removeBox', 1, options)
        return [
          { entity: 'BoxLabel', key: [1, 1], action: 'delete' },
          { entity: 'Box', key: 1, action: 'update' },
          { entity: 'Label', key: 1, action: 'update' },
        ]
      },
    },
    manyToManySet: {
      as: 'captured',
      prepare: prepareLabels,
      async run({ models: { Box }, options }) {
        const box = await Box.findByPk(1, { ...options, rejectOnEmpty: true })
        await call(box, 'setLabels', [2], options)
        return [
          { entity: 'BoxLabel', key: [1, 1], action: 'delete' },
          { entity: 'BoxLabel', key: [1, 2], action: 'create' },
          { entity: 'Box', key: 1, action: 'update' },
          { entity: 'Label', key: 1, action: 'update' },
          { entity: 'Label', key: 2, action: 'update' },
        ]
      },
    },
    throughModel: {
      as: 'captured',
      prepare: prepareLabels,
      async run({ models: { BoxLabel }, options }) {
        const found = await BoxLabel.findOne({ where: { boxId: 1, labelId: 1 }, ...options, rejectOnEmpty: true })
        await found.update({ note: 'new' }, options)
        return [
          { entity: 'BoxLabel', key: [1, 1], action: 'update' },
          { entity: 'Box', key: 1, action: 'update' },
          { entity: 'Label', key: 1, action: 'update' },
        ]
      },
    },
    oneToManySetters: {
      as: 'captured',
      prepare: prepareShelf,
      async run({ models: { Shelf }, options }) {
        const shelf = await Shelf.findByPk(1, { ...options, rejectOnEmpty: true })
        await call(shelf, 'removeItem', 1, options)
        await call(shelf, 'setItems', [1], options)
        await call(shelf, 'createNote', { id: 2 }, options)
        return [
          { entity: 'Item', key: 1, action: 'update' },
          { entity: 'Item', key: 2, action: 'update' },
          { entity: 'Note', key: 2, action: 'create' },
        ]
      },
    },
    createWithAssociations: {
      as: 'captured',
      async run({ models: { Shelf, Item, Note }, options }) {
        await Shelf.create({ id: 1, Items: [{ id: 1 }], Notes: [{ id: 1 }] }, { include: [Item, Note], ...options })
        return [
          { entity: 'Shelf', key: 1, action: 'create' },
          { entity: 'Item', key: 1, action: 'create' },
          { entity: 'Note', key: 1, action: 'create' },
        ]
      },
    },
    applicationCascade: {
      // The pages are named, but where Sequelize deletes them the foreign key does too, should another one come between.
      as: 'coarse',
      async prepare({ models: { Folder, Page } }) {
        await Folder.create({ id: 1 })
        await Page.bulkCreate([1, 2].map((id) => ({ id, folderId: 1 })))
      },
      async run({ models: { Folder }, options }) {
        await (await Folder.findByPk(1, { ...options, rejectOnEmpty: true })).destroy(options)
        return [
          { entity: 'Page', key: 1, action: 'delete' },
          { entity: 'Page', key: 2, action: 'delete' },
        ]
      },
    },
    databaseCascade: {
      as: 'coarse',
      prepare: prepareShelf,
      async run({ models: { Shelf }, options }) {
        await (await Shelf.findByPk(1, { ...options, rejectOnEmpty: true })).destroy(options)
        return [
          { entity: 'Item', key: 1, action: 'delete' },
          { entity: 'Mark', key: 1, action: 'delete' },
        ]
      },
    },
    databaseSetNull: {
      as: 'coarse',
      prepare: prepareShelf,
      async run({ models: { Shelf }, options }) {
        await Shelf.destroy({ where: { id: 1 }, ...options })
        return [{ entity: 'Note', key: 1, action: 'update' }]
      },
    },
    databaseCascadeOfThrough: {
      as: 'coarse',
      prepare: prepareLabels,
      async run({ models: { Box }, options }) {
        await Box.destroy({ where: { id: 1 }, ...options })
        return [
          { entity: 'BoxLabel', key: [1, 1], action: 'delete' },
          { entity: 'Label', key: 1, action: 'update' },
        ]
      },
    },
    softDeleteByCondition: {
      as: 'captured',
      prepare: async ({ models: { Draft } }) => void (await Draft.bulkCreate([1, 2].map((id) => ({ id, text: 'a' })))),
      async run({ models: { Draft }, options }) {
        await Draft.destroy({ where: { text: 'a' }, ...options })
        return [
          { entity: 'Draft', key: 1, action: 'update' },
          { entity: 'Draft', key: 2, action: 'update' },
        ]
      },
    },
    restoreByCondition: {
      as: 'captured',
      async prepare({ models: { Draft } }) {
        await Draft.bulkCreate([1, 2].map((id) => ({ id, text: 'a' })))
        await Draft.destroy({ where: { id: 2 } })
      },
      async run({ models: { Draft }, options }) {
        await Draft.restore({ where: { text: 'a', deletedAt: { [Op.ne]: null } }, ...options })
        return [{ entity: 'Draft', key: 2, action: 'update' }]
      },
    },
    softDelete: {
      as: 'captured',
      prepare: async ({ models: { Draft } }) => void (await Draft.bulkCreate([1, 2].map((id) => ({ id, text: 'a' })))),
      async run({ models: { Draft }, options }) {
        await (await Draft.findByPk(1, { ...options, rejectOnEmpty: true })).destroy(options)
        await Draft.destroy({ where: { id: 2 }, ...options })
        return [
          { entity: 'Draft', key: 1, action: 'update' },
          { entity: 'Draft', key: 2, action: 'update' },
        ]
      },
    },
    restore: {
      as: 'captured',
      async prepare({ models: { Draft } }) {
        await Draft.bulkCreate([1, 2].map((id) => ({ id, text: 'a' })))
        await Draft.destroy({ where: { id: [1, 2] } })
      },
      async run({ models: { Draft }, options }) {
        await (await Draft.findByPk(1, { ...options, paranoid: false, rejectOnEmpty: true })).restore(options)
        await Draft.restore({ where: { id: 2 }, ...options })
        return [
          { entity: 'Draft', key: 1, action: 'update' },
          { entity: 'Draft', key: 2, action: 'update' },
        ]
      },
    },
    deleteForGood: {
      as: 'captured',
      prepare: async ({ models: { Draft } }) => void (await Draft.create({ id: 1, text: 'a' })),
      async run({ models: { Draft }, options }) {
        await (await Draft.findByPk(1, { ...options, rejectOnEmpty: true })).destroy({ force: true, ...options })
        return [{ entity: 'Draft', key: 1, action: 'delete' }]
      },
    },
    changeKey: {
      as: 'captured',
      async run({ models: { Thing }, options }) {
        await Thing.update({ id: 99 }, { where: { id: 1 }, ...options })
        return [
          { key: 1, action: 'delete' },
          { key: 99, action: 'create' },
        ]
      },
    },
    databaseKeyCascade: {
      as: 'coarse',
      prepare: prepareShelf,
      async run({ models: { Shelf }, options }) {
        await Shelf.update({ id: 99 }, { where: { id: 1 }, ...options })
        return [{ entity: 'Item', key: 1, action: 'update' }]
      },
    },
    partialLoad: {
      as: 'captured',
      async run({ models: { Thing }, options }) {
        const found = await Thing.findByPk(1, { attributes: ['id', 'text'], ...options, rejectOnEmpty: true })
        await found.update({ text: 'new' }, options)
        const bare = Thing.build({ id: 2 }, { isNewRecord: false })
        await bare.update({ text: 'new' }, options)
        return [
          { key: 1, action: 'update' },
          { key: 2, action: 'update' },
        ]
      },
    },
    truncate: {
      as: 'coarse',
      prepare: async ({ models: { Note } }) => void (await Note.create({ id: 1 })),
      async run({ models: { Note }, options }) {
        // As a statement `truncate` MariaDB would commit the transaction.
        await Note.destroy({ where: {}, truncate: isPostgres, ...options })
        return [{ entity: 'Note', key: 1, action: 'delete' }]
      },
    },
    queryBuilder: {
      as: 'coarse',
      async run({ database: { sequelize }, options }) {
        await sequelize.getQueryInterface().bulkUpdate('things', { text: 'new' }, { id: 1 }, options)
        return [{ key: 1 }]
      },
    },
    rawSql: {
      as: 'coarse',
      async run({ database: { sequelize }, options }) {
        await sequelize.query("update things set text = 'new' where id = 1", options)
        await sequelize.query('delete from things where id = :id', { replacements: { id: 2 }, ...options })
        await sequelize.query('update things set done = $1 where id = 3', {
          bind: [true],
          type: QueryTypes.UPDATE,
          ...options,
        })
        return [{ key: 1 }, { key: 2 }, { key: 3 }]
      },
    },
    procedure:
      database === 'sqlite'
        ? { absent: 'there are no procedures' }
        : {
            as: { notCaptured: 'what it does is not in the statement' },
            async prepare({ database: { sequelize } }) {
              const statement = "update things set text = 'new' where id = 1"
              const body = isPostgres ? `language sql as '${statement.replaceAll("'", "''")}'` : statement
              await sequelize.query(`create or replace procedure renew_things() ${body}`)
            },
            async run({ database: { sequelize }, options }) {
              await sequelize.query('call renew_things()', options)
              return [{ key: 1 }]
            },
          },
    rawCascade: {
      as: 'coarse',
      prepare: prepareShelf,
      async run({ database: { sequelize }, options }) {
        await sequelize.query('delete from shelf where id = 1', options)
        return ['Shelf', 'Item', 'Mark', 'Note'].map((entity) => ({ entity, key: 1 }))
      },
    },
  }
}

function prepareNotes(count: number) {
  return async ({ models: { Note } }: SequelizeWriter): Promise<void> => {
    await Note.bulkCreate(Array.from({ length: count }, (_, i) => ({ id: i + 1, text: 'old' })))
  }
}

const conflictOnKey = { conflictAttributes: ['id'] as never[] }

async function prepareLabels({ models: { Box, Label, BoxLabel } }: SequelizeWriter): Promise<void> {
  await Label.bulkCreate([{ id: 1 }, { id: 2 }])
  await Box.create({ id: 1 })
  await BoxLabel.create({ boxId: 1, labelId: 1 })
}

async function prepareShelf({ models: { Shelf, Item, Mark, Note } }: SequelizeWriter): Promise<void> {
  await Shelf.create({ id: 1, name: 'one' })
  await Item.bulkCreate([1, 2].map((id) => ({ id, shelfId: 1 })))
  await Mark.create({ id: 1, itemId: 1 })
  await Note.create({ id: 1, shelfId: 1 })
}

/** Calls a method that an association has given to instances. */
async function call(instance: object, name: string, ...args: readonly unknown[]): Promise<void> {
  const method = Reflect.get(instance, name) as (...args: readonly unknown[]) => Promise<unknown>
  await method.apply(instance, [...args])
}
