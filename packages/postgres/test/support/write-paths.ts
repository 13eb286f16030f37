import { type ChangeSourceFactory, type Thing, thing } from '@rtapi/testing'
import type { SqlWriter } from './sql-writer.ts'

const columns = Object.keys(thing({ id: 1 }))
const names = columns.map((name) => `"${name}"`).join(', ')

/** One statement that inserts these. */
async function insert(writer: SqlWriter, things: readonly Thing[], conflict = ''): Promise<void> {
  const rows = things.map((_, i) => `(${columns.map((__, j) => `$${i * columns.length + j + 1}`).join(', ')})`)
  const values = things.flatMap((row) => Object.values(row))
  await writer.query(`insert into things (${names}) values ${rows.join(', ')} ${conflict}`, values)
}

const one = [thing({ id: 1, text: 'new' })]
const both = [thing({ id: 1, text: 'new' }), thing({ id: 11 })]
const UPSERT = 'on conflict (id) do update set text = excluded.text'
const IGNORE = 'on conflict do nothing'

/** The ways in which SQL writes: all are captured, since the database itself tells. */
export const writePaths: ChangeSourceFactory<SqlWriter>['paths'] = {
  bulkInsert: {
    as: 'captured',
    async run(writer) {
      await insert(writer, [thing({ id: 11 }), thing({ id: 12 })])
      return [
        { key: 11, action: 'create' },
        { key: 12, action: 'create' },
      ]
    },
  },
  bulkInsertIgnoringConflicts: {
    as: 'captured',
    async run(writer) {
      await insert(writer, both, IGNORE)
      return [{ key: 11, action: 'create' }]
    },
  },
  bulkInsertUpdatingConflicts: {
    as: 'captured',
    async run(writer) {
      await insert(writer, both, UPSERT)
      return [
        { key: 1, action: 'update' },
        { key: 11, action: 'create' },
      ]
    },
  },
  bulkInsertOfGeneratedKeys: {
    as: 'captured',
    prepare: async (writer) => writer.query('alter table note alter column id restart with 1000'),
    async run(writer) {
      await writer.query('insert into note (shelf_id) values (null), (null)')
      return [1000, 1001].map((key) => ({ entity: 'Note', key, action: 'create' }))
    },
  },
  bulkUpdate: {
    as: 'captured',
    async run(writer) {
      await writer.query("update things set done = true where text in ('one', 'two')")
      return [
        { key: 1, action: 'update' },
        { key: 2, action: 'update' },
      ]
    },
  },
  bulkUpdateLimited: {
    as: 'captured',
    async run(writer) {
      await writer.query('update things set done = true where id in (select id from things order by id limit 1)')
      return [{ key: 1, action: 'update' }]
    },
  },
  bulkUpdateOfThousands: {
    // Above so many the keys are not kept.
    as: 'coarse',
    prepare: async (writer) => writer.query('insert into draft select n from generate_series(1, 2000) n'),
    async run(writer) {
      await writer.query('update draft set deleted_at = now()')
      return [{ entity: 'Draft', key: 1 }]
    },
  },
  bulkDelete: {
    as: 'captured',
    async run(writer) {
      await writer.query('delete from things where id < 3')
      return [
        { key: 1, action: 'delete' },
        { key: 2, action: 'delete' },
      ]
    },
  },
  upsertNew: {
    as: 'captured',
    async run(writer) {
      await insert(writer, [thing({ id: 11 })], UPSERT)
      return [{ key: 11, action: 'create' }]
    },
  },
  upsertExisting: {
    as: 'captured',
    async run(writer) {
      await insert(writer, one, UPSERT)
      return [{ key: 1, action: 'update' }]
    },
  },
  upsertIgnored: {
    as: 'captured',
    async run(writer) {
      await insert(writer, one, IGNORE)
      return []
    },
  },
  upsertByOtherKey: {
    as: 'captured',
    prepare: async (writer) => writer.query("update things set code = 'A' where id = 1"),
    async run(writer) {
      const conflict = 'on conflict (code) do update set text = excluded.text'
      await insert(writer, [thing({ id: 11, code: 'A', text: 'new' })], conflict)
      return [{ key: 1, action: 'update' }]
    },
  },
  increment: {
    as: 'captured',
    async run(writer) {
      await writer.query('update things set version = version + 1 where id = 1')
      return [{ key: 1, action: 'update' }]
    },
  },
  manyToManyAdd: {
    as: 'captured',
    prepare: prepareLabels,
    async run(writer) {
      await writer.query('insert into box_labels values (1, 2)')
      return [
        { entity: 'Box', key: 1, action: 'update' },
        { entity: 'Label', key: 2, action: 'update' },
      ]
    },
  },
  manyToManyRemove: {
    as: 'captured',
    prepare: prepareLabels,
    async run(writer) {
      await writer.query('delete from box_labels')
      return [
        { entity: 'Box', key: 1, action: 'update' },
        { entity: 'Label', key: 1, action: 'update' },
      ]
    },
  },
  manyToManySet: {
    as: 'captured',
    prepare: prepareLabels,
    async run(writer) {
      await writer.query('update box_labels set label_id = 2')
      return [
        { entity: 'Box', key: 1, action: 'update' },
        { entity: 'Label', key: 1, action: 'update' },
        { entity: 'Label', key: 2, action: 'update' },
      ]
    },
  },
  applicationCascade: { absent: 'SQL has none' },
  databaseCascade: {
    as: 'captured',
    prepare: prepareShelf,
    async run(writer) {
      await writer.query('delete from shelf where id = 1')
      return [
        { entity: 'Shelf', key: 1, action: 'delete' },
        { entity: 'Item', key: 1, action: 'delete' },
        { entity: 'Item', key: 2, action: 'delete' },
        { entity: 'Note', key: 1, action: 'update' },
      ]
    },
  },
  databaseSetNull: {
    as: 'captured',
    prepare: async (writer) => {
      await prepareShelf(writer)
      await writer.query('delete from item')
    },
    async run(writer) {
      await writer.query('delete from shelf')
      return [
        { entity: 'Shelf', key: 1, action: 'delete' },
        { entity: 'Note', key: 1, action: 'update' },
      ]
    },
  },
  softDelete: {
    as: 'captured',
    prepare: async (writer) => writer.query('insert into draft values (1)'),
    async run(writer) {
      await writer.query('update draft set deleted_at = now()')
      return [{ entity: 'Draft', key: 1, action: 'update' }]
    },
  },
  restore: {
    as: 'captured',
    prepare: async (writer) => writer.query('insert into draft values (1, now())'),
    async run(writer) {
      await writer.query('update draft set deleted_at = null')
      return [{ entity: 'Draft', key: 1, action: 'update' }]
    },
  },
  changeKey: {
    as: 'captured',
    async run(writer) {
      await writer.query('update things set id = 99 where id = 1')
      return [
        { key: 1, action: 'delete' },
        { key: 99, action: 'create' },
      ]
    },
  },
  changeKeys: {
    as: 'captured',
    async run(writer) {
      // Each row moves on by one, in the one order in which the unique index allows it.
      await writer.query('update things set id = id - 1')
      return [
        { key: 0, action: 'create' },
        { key: 1, action: 'update' },
        { key: 2, action: 'update' },
        { key: 3, action: 'delete' },
      ]
    },
  },
  databaseKeyCascade: {
    as: 'captured',
    prepare: async (writer) => {
      await prepareShelf(writer)
      await writer.query('delete from item')
    },
    async run(writer) {
      await writer.query('update shelf set id = 2')
      return [
        { entity: 'Shelf', key: 1, action: 'delete' },
        { entity: 'Shelf', key: 2, action: 'create' },
        { entity: 'Note', key: 1, action: 'update' },
      ]
    },
  },
  bulkUpdateOfCompositeKeys: {
    as: 'captured',
    prepare: async (writer) => writer.query('insert into seat values (1, 1), (1, 2)'),
    async run(writer) {
      await writer.query('update seat set taken = true where number = 1')
      await writer.query('delete from seat where number = 2')
      await writer.query('insert into seat values (1, 3)')
      return [
        { entity: 'Seat', key: [1, 1], action: 'update' },
        { entity: 'Seat', key: [1, 2], action: 'delete' },
        { entity: 'Seat', key: [1, 3], action: 'create' },
      ]
    },
  },
  partialLoad: { absent: 'SQL has none' },
  queryBuilder: { absent: 'SQL has none' },
  rawSql: {
    as: 'captured',
    async run(writer) {
      await writer.query(
        "with gone as (delete from things where id = 1 returning id) insert into shelf select id, 'x' from gone",
      )
      return [
        { key: 1, action: 'delete' },
        { entity: 'Shelf', key: 1, action: 'create' },
      ]
    },
  },
  merge: {
    as: 'captured',
    async run(writer) {
      await writer.query(`
        merge into things t using (values (1), (2), (11)) as s (id) on t.id = s.id
        when matched and t.id = 1 then delete
        when matched then update set text = 'merged'
        when not matched then insert (id, text, done, version) values (s.id, '', false, 1)`)
      return [
        { key: 1, action: 'delete' },
        { key: 2, action: 'update' },
        { key: 11, action: 'create' },
      ]
    },
  },
  procedure: {
    as: 'captured',
    async prepare(writer) {
      const statement = "update things set text = 'new' where id = 1"
      await writer.query(`create or replace procedure renew_things() begin atomic ${statement}; end`)
    },
    async run(writer) {
      await writer.query('call renew_things()')
      return [{ key: 1, action: 'update' }]
    },
  },
  block: {
    as: 'captured',
    async run(writer) {
      await writer.query("do $$ begin update things set text = 'in a block' where id = 2; end $$")
      return [{ key: 2, action: 'update' }]
    },
  },
  truncate: {
    as: 'coarse',
    async run(writer) {
      await writer.query('truncate things')
      return [{ key: 1 }]
    },
  },
  truncateCascade: {
    as: 'coarse',
    prepare: prepareShelf,
    async run(writer) {
      await writer.query('truncate shelf cascade')
      return [
        { entity: 'Shelf', key: 1 },
        { entity: 'Item', key: 1 },
        { entity: 'Note', key: 1 },
      ]
    },
  },
}

async function prepareLabels(writer: SqlWriter): Promise<void> {
  await writer.query('insert into box values (1)')
  await writer.query('insert into label values (1), (2)')
  await writer.query('insert into box_labels values (1, 1)')
}

async function prepareShelf(writer: SqlWriter): Promise<void> {
  await writer.query("insert into shelf values (1, 'one')")
  await writer.query('insert into item values (1, 1), (2, 1)')
  await writer.query('insert into note values (1, 1)')
}
