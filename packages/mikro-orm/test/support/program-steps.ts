import { raw, wrap } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import { type ProgramStep, type SeededRandom, type Thing as ThingRow, thing } from '@rtapi/testing'
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
  Seat,
  Shelf,
  Slot,
  Tag,
  Thing,
} from './entities.ts'

type Em = SqlEntityManager
type Step = ProgramStep<Em>

/** So few that programs meet their own records again, and keys that are taken. */
const IDS = 6
const idOf = (random: SeededRandom): number => 1 + random.integer(IDS)
const textOf = (random: SeededRandom): string => random.pick(['a', 'b', 'c'])

function thingOf(id: number, random: SeededRandom): Omit<ThingRow, 'happenedAt' | 'total'> {
  const {
    happenedAt: _,
    total: __,
    ...rest
  } = thing({
    id,
    text: textOf(random),
    done: random.chance(0.5),
    owner: random.pick(['ann', 'bob', null]),
    code: random.pick(['A', 'B', null, null]),
  })
  return rest
}

/** Every kind of write that MikroORM has, on few records; many fail, since keys are taken or references broken. */
export function programSteps(database: DatabaseName): readonly Step[] {
  return [
    ...flushes,
    ...natives,
    ...collections,
    ...builders,
    ...plain,
    {
      name: 'check references at the commit only',
      async run(em, random) {
        if (database === 'mariadb') return
        await em.execute(database === 'postgres' ? 'set constraints all deferred' : 'pragma defer_foreign_keys = on')
        await em.insert(Item, { id: idOf(random), shelf: idOf(random) })
      },
    },
  ]
}

/** Records for programs to begin with: some of each kind, which refer to one another. */
export async function fillForPrograms(em: Em): Promise<void> {
  for (const id of [1, 2, 3]) {
    const shelf = em.create(Shelf, { id, name: ['a', 'b', 'c'][id - 1] ?? '' })
    const rack = em.create(Rack, { id, name: shelf.name })
    const slot = em.create(Slot, { id, rack })
    const label = em.create(Label, { id })
    const { happenedAt: _, total: __, ...rest } = thing({ id, text: shelf.name, owner: 'ann' })
    em.create(Thing, rest)
    em.create(Item, { id, shelf })
    em.create(Note, { id, shelf })
    // It keeps its shelf from being deleted.
    if (id === 3) em.create(Seat, { shelf, number: id, taken: false })
    em.create(Pin, { id, slot })
    em.create(Peg, { id, rack })
    em.create(Box, { id, labels: [label] })
    em.create(Crate, { id, labels: [label] })
    em.create((id === 1 ? Person : Employee) as typeof Person, { id, name: shelf.name })
  }
  await em.flush()
}

/** In half of the cases the entity manager knows nothing; else it goes on with what it has, also what is not flushed. */
function begin(em: Em, random: SeededRandom): void {
  if (random.chance(0.5)) em.clear()
}

const flushes: readonly Step[] = [
  {
    name: 'create',
    weight: 4,
    async run(em, random) {
      begin(em, random)
      for (let count = 1 + random.integer(3); count > 0; count--) createOne(em, random)
      await em.flush()
    },
  },
  {
    name: 'create without a flush',
    async run(em, random) {
      createOne(em, random)
    },
  },
  {
    name: 'update',
    weight: 2,
    async run(em, random) {
      begin(em, random)
      const things = await em.find(
        Thing,
        { id: { $lte: idOf(random) } },
        { orderBy: { id: 'asc' }, exclude: ['total'] },
      )
      for (const one of things) {
        const { id: _, ...rest } = thingOf(0, random)
        wrap(one).assign(rest)
      }
      await em.flush()
      return things.length
    },
  },
  {
    name: 'move',
    async run(em, random) {
      begin(em, random)
      const item = await em.findOne(Item, idOf(random))
      if (item !== null) item.shelf = em.getReference(Shelf, idOf(random))
      const employee = await em.findOne(Employee, { name: textOf(random) }, { orderBy: { id: 'asc' } })
      if (employee !== null) employee.salary = random.integer(10)
      await em.flush()
      return [item?.id, employee?.id]
    },
  },
  {
    name: 'update a part, by an expression',
    async run(em, random) {
      em.clear()
      const found = await em.findOne(Thing, idOf(random), { fields: ['id', 'version'] })
      if (found !== null) found.version = raw('version + 1')
      await em.flush()
      return found?.version
    },
  },
  {
    name: 'update and remove references',
    async run(em, random) {
      em.clear()
      // What is not there MikroORM takes for written, and so do the captures; nobody is harmed by that.
      const shelf = idOf(random)
      const peg = idOf(random)
      if ((await em.count(Shelf, { id: shelf })) > 0) em.getReference(Shelf, shelf).name = textOf(random)
      if ((await em.count(Peg, { id: peg })) > 0) em.remove(em.getReference(Peg, peg))
      await em.flush()
    },
  },
  {
    name: 'remove',
    weight: 2,
    async run(em, random) {
      begin(em, random)
      const Entity = random.pick([Thing, Shelf, Item, Note, Box, Label, Rack, Slot, Crate] as const)
      const found = await em.findOne(Entity as typeof Shelf, idOf(random), Entity === Thing ? exclude : {})
      if (found !== null) em.remove(found)
      await em.flush()
      return found?.id
    },
  },
  {
    name: 'change a key',
    async run(em, random) {
      em.clear()
      const Entity = random.pick([Thing, Shelf, Rack] as const)
      const found = await em.findOne(Entity as typeof Shelf, idOf(random), Entity === Thing ? exclude : {})
      if (found !== null) found.id = idOf(random)
      await em.flush()
    },
  },
  {
    name: 'orphans',
    async run(em, random) {
      em.clear()
      const folder = await em.findOne(Folder, idOf(random), { populate: random.chance(0.5) ? ['pages'] : [] })
      if (folder === null) {
        const made = em.create(Folder, { id: idOf(random) })
        for (const id of [1, 2]) em.create(Page, { id: id + random.integer(4), folder: made })
      } else if (random.chance(0.5)) em.remove(folder)
      else folder.pages.set([])
      await em.flush()
    },
  },
  {
    name: 'soft delete and restore',
    async run(em, random) {
      em.clear()
      const draft = await em.findOne(Draft, idOf(random), { filters: random.chance(0.5) })
      if (draft === null) em.create(Draft, { id: idOf(random), text: textOf(random) })
      else draft.deletedAt = draft.deletedAt === null ? new Date(0) : null
      await em.flush()
    },
  },
  {
    name: 'pivot rows by their entity',
    async run(em, random) {
      em.clear()
      const tag = await em.findOne(Tag, { crate: idOf(random), label: idOf(random) })
      if (tag === null) em.create(Tag, { crate: idOf(random), label: idOf(random), note: '' })
      else if (random.chance(0.5)) em.remove(tag)
      else tag.note = textOf(random)
      await em.flush()
    },
  },
]

const exclude = { exclude: ['total'] } as never

function createOne(em: Em, random: SeededRandom): void {
  const id = idOf(random)
  const other = idOf(random)
  const kind = random.integer(15)
  if (kind < 2) em.create(Thing, thingOf(id, random) as never)
  else if (kind < 4) em.create(Shelf, random.chance(0.7) ? { id, name: textOf(random) } : { name: textOf(random) })
  else if (kind === 4) em.create(Item, { id, shelf: em.getReference(Shelf, other) })
  else if (kind === 5) em.create(Note, { id, shelf: random.chance(0.5) ? null : em.getReference(Shelf, other) })
  else if (kind === 6) em.create(Box, { id, labels: [em.getReference(Label, other)] })
  // Of these a trigger refuses one.
  else if (kind === 7) em.create(Label, { id })
  else if (kind === 8) em.create((random.chance(0.5) ? Person : Employee) as typeof Person, { name: textOf(random) })
  else if (kind === 9) em.create(Seat, { shelf: em.getReference(Shelf, id), number: other, taken: false })
  else if (kind === 10) em.create(Rack, { id, name: textOf(random) })
  else if (kind === 11) em.create(Slot, { id, rack: em.getReference(Rack, other) })
  else if (kind === 12) em.create(Pin, { id, slot: em.getReference(Slot, other) })
  else if (kind === 13) em.create(Peg, { id, rack: em.getReference(Rack, other) })
  else em.create(Crate, { id, labels: [em.getReference(Label, other)] })
}

const natives: readonly Step[] = [
  {
    name: 'nativeUpdate',
    weight: 3,
    async run(em, random) {
      const where = random.pick([
        { text: textOf(random) },
        { id: idOf(random) },
        { id: { $in: [idOf(random), idOf(random), 99] } },
        { [raw('id % 2')]: 0 },
        { done: random.chance(0.5), id: { $lt: idOf(random) } },
        {},
      ])
      const { id: _, ...rest } = thingOf(0, random)
      const data = random.pick([
        { done: rest.done },
        { text: rest.text, owner: rest.owner },
        { code: rest.code },
        { version: raw<number>('version + 1') },
      ])
      return em.nativeUpdate(Thing, where, data)
    },
  },
  {
    name: 'nativeUpdate of others',
    weight: 2,
    async run(em, random) {
      const id = idOf(random)
      switch (random.integer(6)) {
        case 0:
          return em.nativeUpdate(Item, { shelf: { name: textOf(random) } }, { shelf: id })
        case 1:
          return em.nativeUpdate(Employee, { name: textOf(random) }, { salary: random.integer(9) })
        case 2:
          return em.nativeUpdate(Seat, { taken: false }, random.chance(0.5) ? { taken: true } : { shelf: id })
        case 3:
          return em.nativeUpdate(Note, { shelf: random.chance(0.5) ? null : id }, { shelf: idOf(random) })
        case 4:
          return em.nativeUpdate(Draft, {}, { text: textOf(random) })
        default:
          return em.nativeUpdate(Tag, { label: id }, random.chance(0.5) ? { note: 'new' } : { label: idOf(random) })
      }
    },
  },
  {
    name: 'nativeUpdate of keys',
    async run(em, random) {
      const Entity = random.pick([Thing, Shelf, Rack, Label] as const) as typeof Shelf
      const where = random.chance(0.5) ? { id: idOf(random) } : { id: { $gt: idOf(random) } }
      const id = random.chance(0.7) ? idOf(random) : raw<number>('id + 20')
      return em.nativeUpdate(Entity, where, { id })
    },
  },
  {
    name: 'nativeDelete',
    weight: 2,
    async run(em, random) {
      const id = idOf(random)
      switch (random.integer(7)) {
        case 0:
          return em.nativeDelete(Thing, { text: textOf(random) })
        case 1:
          return em.nativeDelete(random.pick([Shelf, Rack] as const) as typeof Shelf, { name: textOf(random) })
        case 2:
          return em.nativeDelete(random.pick([Slot, Item, Label, Crate] as const) as typeof Label, { id: { $gte: id } })
        case 3:
          return em.nativeDelete(Thing, { id: { $in: [id, idOf(random)] } })
        case 4:
          return em.nativeDelete(Seat, { shelf: { name: textOf(random) } })
        case 5:
          return em.nativeDelete(Person, { name: textOf(random) })
        default:
          return em.nativeDelete(Tag, { crate: id })
      }
    },
  },
  {
    name: 'insert',
    async run(em, random) {
      const id = idOf(random)
      if (random.chance(0.3)) return em.insert(Crate, { id, labels: [idOf(random)] })
      if (random.chance(0.3)) return em.insert(em.create(Note, { id, shelf: null }, { persist: false }))
      return em.insert(Thing, thingOf(id, random))
    },
  },
  {
    name: 'insertMany',
    async run(em, random) {
      if (random.chance(0.5)) {
        return em.insertMany(
          Shelf,
          ['a', 'b', 'c'].map((name) => ({ name })),
        )
      }
      const first = idOf(random)
      return em.insertMany(
        Thing,
        [first, first + 1].map((id) => thingOf(id, random)),
      )
    },
  },
  {
    name: 'upsert',
    weight: 2,
    async run(em, random) {
      begin(em, random)
      const ids = random.chance(0.5) ? [idOf(random)] : [1, 3, 5]
      const rows = ids.map((id) => ({ ...thingOf(id, random), code: null }))
      const options = random.chance(0.3) ? { onConflictAction: 'ignore' as const } : {}
      await em.upsertMany(Thing, rows, options)
    },
  },
  {
    name: 'upsert by another key',
    async run(em, random) {
      em.clear()
      const { id: _, ...rest } = thingOf(0, random)
      await em.upsert(Thing, { ...rest, code: random.pick(['A', 'B']) }, { onConflictFields: ['code'] })
    },
  },
  {
    name: 'clone',
    async run(em, random) {
      em.clear()
      return (await em.clone(Shelf, { id: idOf(random) })).name
    },
  },
]

const collections: readonly Step[] = [
  {
    name: 'many-to-many',
    weight: 3,
    async run(em, random) {
      begin(em, random)
      const populate = random.chance(0.5)
      // Where a collection is not loaded, MariaDB ignores references that are broken, and all take them for written.
      const ids = { id: { $in: [idOf(random), idOf(random), idOf(random)] } }
      const isThere = !populate || random.chance(0.5)
      const labels = isThere ? await em.find(Label, ids) : ids.id.$in.map((id) => em.getReference(Label, id))
      const boxes = isThere ? await em.find(Box, ids) : ids.id.$in.map((id) => em.getReference(Box, id))
      const box = await em.findOne(random.pick([Box, Crate] as const) as typeof Box, idOf(random), {
        populate: populate ? ['labels'] : [],
      })
      const label = await em.findOne(Label, idOf(random), { populate: populate ? ['boxes'] : [] })
      const change = random.integer(4)
      if (random.chance(0.6)) {
        if (change === 0) box?.labels.add(labels)
        else if (change === 1) box?.labels.set(labels)
        else if (change === 2 && populate) box?.labels.remove(labels)
        else if (change === 3) box?.labels.removeAll()
      } else if (change === 0) label?.boxes.add(boxes)
      else if (change === 1) label?.boxes.set(boxes)
      else if (change === 2 && populate) label?.boxes.remove(boxes)
      else if (change === 3) label?.boxes.removeAll()
      await em.flush()
      return [box?.id, label?.id]
    },
  },
  {
    name: 'many-to-many in data',
    async run(em, random) {
      return em.nativeUpdate(Box, { id: idOf(random) }, { labels: [idOf(random)] })
    },
  },
]

const builders: readonly Step[] = [
  {
    name: 'query builder',
    weight: 2,
    async run(em, random) {
      const { id, ...rest } = thingOf(idOf(random), random)
      switch (random.integer(6)) {
        case 0: {
          const query = em.createQueryBuilder(Thing).update({ owner: rest.owner }).where({ text: rest.text })
          return countOf(await query.execute('run'))
        }
        case 1:
          return countOf(await em.createQueryBuilder(Thing).delete({ text: rest.text, id }).execute('run'))
        case 2:
          return countOf(
            await em
              .createQueryBuilder(Thing)
              .insert({ id, ...rest })
              .execute('run'),
          )
        case 3:
          return countOf(
            await em
              .createQueryBuilder(Shelf)
              .insert([{ name: 'b' }, { name: 'c' }])
              .execute('run'),
          )
        case 4: {
          const query = em.createQueryBuilder(Thing).insert({ id, ...rest, code: null })
          const conflict = query.onConflict('id')
          return countOf(await (random.chance(0.5) ? conflict.merge() : conflict.ignore()).execute('run'))
        }
        default:
          return countOf(await em.createQueryBuilder(Slot).delete().where({ rack: id }).execute('run'))
      }
    },
  },
  {
    name: 'query builder from a query',
    async run(em, random) {
      const query = em
        .createQueryBuilder(Shelf, 's')
        .select('name')
        .where({ id: idOf(random) })
      return countOf(
        await em
          .createQueryBuilder(Shelf)
          .insertFrom(query, { columns: ['name'] })
          .execute('run'),
      )
    },
  },
]

/** How many rows; the rest differs in what SQLite says of a last key that the statement has not made. */
function countOf(result: unknown): unknown {
  return (result as { affectedRows?: number }).affectedRows
}

const plain: readonly Step[] = [
  {
    name: 'raw SQL',
    weight: 2,
    async run(em, random) {
      const id = idOf(random)
      const [sql, params] = random.pick([
        ['update things set text = ? where id = ?', [textOf(random), id]],
        ['delete from things where id = ?', [id]],
        ['delete from shelf where id = ?', [id]],
        ['delete from rack where id = ?', [id]],
        ['update shelf set id = ? where id = ?', [idOf(random), id]],
        ['insert into note (id, shelf_id) values (?, ?)', [id, null]],
        ['delete from tag where label_id = ?', [id]],
        ['insert into box_labels (box_id, label_id) values (?, ?)', [id, idOf(random)]],
      ] as [string, unknown[]][])
      await em.execute(sql, params, 'run')
    },
  },
  {
    name: 'Kysely',
    async run(em, random) {
      const kysely = em.getKysely<{ things: { id: number; text: string } }>()
      const { numUpdatedRows } = await kysely
        .updateTable('things')
        .set({ text: textOf(random) })
        .where('id', '>', idOf(random))
        .executeTakeFirst()
      return Number(numUpdatedRows)
    },
  },
]
