import { type ProgramStep, type SeededRandom, thing } from '@rtapi/testing'
import { type Model, Op, type Sequelize, type Transaction, literal } from 'sequelize'
import type { TestModels } from './models.ts'

/** What the steps of a random program write with. */
export interface ProgramWriter {
  readonly sequelize: Sequelize
  readonly models: TestModels
  /** Empty outside of transactions, and where the transaction travels by continuation-local storage. */
  readonly options: { readonly transaction?: Transaction }
}

type Run = (writer: ProgramWriter, random: SeededRandom) => Promise<unknown>

const OWNERS = ['ann', 'bob', 'cy']
const owner = (random: SeededRandom) => random.pick(OWNERS)
const id = (random: SeededRandom) => 1 + random.integer(9)
/** Few, so that they conflict. */
const code = (random: SeededRandom) => random.pick(['a', 'b', 'c', 'd', null])
const ids = (random: SeededRandom) => [id(random), id(random), id(random)]
const given = (random: SeededRandom, fields: object) => ({ ...thing({ id: 0 }), version: random.integer(5), ...fields })

const things: Readonly<Record<string, Run>> = {
  create: async ({ models: { Thing }, options }, random) =>
    row(await Thing.create(given(random, { id: id(random), owner: owner(random), code: code(random) }), options)),
  createWithoutKey: async ({ models: { Thing }, options }, random) => {
    const { id: _, ...rest } = given(random, { id: 0, owner: owner(random), code: code(random) })
    return row(await Thing.create(rest, options))
  },
  createInvalid: async ({ models: { Thing }, options }, random) => Thing.create({ id: id(random) }, options),
  save: async ({ models: { Thing }, options }, random) => {
    const found = await Thing.findByPk(id(random), { ...options, rejectOnEmpty: true })
    return row(
      await found.update({ owner: owner(random), code: code(random) }, { ...options, hooks: random.chance(0.5) }),
    )
  },
  remove: async ({ models: { Thing }, options }, random) => {
    const found = await Thing.findByPk(id(random), { ...options, rejectOnEmpty: true })
    return found.destroy({ ...options, hooks: random.chance(0.5) })
  },
  updateByCondition: async ({ models: { Thing }, options }, random) =>
    Thing.update({ owner: owner(random), done: random.chance(0.5) }, { where: { owner: owner(random) }, ...options }),
  updateByLiteral: async ({ models: { Thing }, options }, random) =>
    Thing.update(
      { version: literal('version + 1') as never },
      { where: literal(`id > ${id(random)} or id = 1`), ...options },
    ),
  updateByEither: async ({ models: { Thing }, options }, random) =>
    Thing.update(
      { text: `text ${random.integer(3)}` },
      { where: { [Op.or]: [{ owner: owner(random) }, { version: { [Op.lt]: 2 } }] }, ...options },
    ),
  updateUnique: async ({ models: { Thing }, options }, random) =>
    Thing.update({ code: code(random) as never }, { where: { version: random.integer(5) }, ...options }),
  updateOneByOne: async ({ models: { Thing }, options }, random) =>
    Thing.update({ text: 'one by one' }, { where: { owner: owner(random) }, individualHooks: true, ...options }).then(
      ([count]) => count,
    ),
  updateAll: async ({ models: { Thing }, options }, random) =>
    Thing.update({ quantity: random.integer(9) }, { where: {}, ...options }),
  updateMany: async ({ models: { Thing }, options }, random) =>
    Thing.update(
      { owner: owner(random) },
      { where: { id: ids(random), version: { [Op.lt]: 3 } }, limit: 100, ...options },
    ),
  changeKey: async ({ models: { Thing }, options }, random) =>
    Thing.update({ id: id(random) }, { where: { id: id(random) }, ...options }),
  increment: async ({ models: { Thing }, options }, random) => {
    await Thing.increment('version', { where: { owner: owner(random) }, ...options })
    await Thing.decrement({ quantity: 2 }, { where: { id: id(random) }, ...options })
  },
  destroyByCondition: async ({ models: { Thing }, options }, random) =>
    Thing.destroy({ where: { owner: owner(random), version: { [Op.gte]: random.integer(5) } }, ...options }),
  destroyByKeys: async ({ models: { Thing }, options }, random) =>
    Thing.destroy({ where: { id: ids(random) }, ...options }),
  insertMany: async ({ models: { Thing }, options }, random) =>
    rows(
      await Thing.bulkCreate(
        ids(random).map((one) => given(random, { id: one, owner: owner(random) })),
        options,
      ),
    ),
  insertManyIgnoring: async ({ models: { Thing }, options }, random) => {
    const records = ids(random).map((one) => given(random, { id: one, code: code(random), owner: owner(random) }))
    await Thing.bulkCreate(records, { ...options, ignoreDuplicates: true })
  },
  insertManyIgnoringWithoutKeys: async ({ models: { Thing }, options }, random) => {
    const records = [code(random), code(random)].map((one) => ({ ...given(random, { code: one }), id: undefined }))
    await Thing.bulkCreate(records, { ...options, ignoreDuplicates: true })
  },
  insertManyUpdating: async ({ models: { Thing }, options }, random) => {
    const records = ids(random).map((one) => given(random, { id: one, owner: owner(random), text: 'again' }))
    const conflict = { updateOnDuplicate: ['owner', 'text'] as never[], conflictAttributes: ['id'] as never[] }
    await Thing.bulkCreate(records, { ...options, ...conflict })
  },
  insertManyUpdatingByCode: async ({ models: { Thing }, options }, random) => {
    const records = [{ ...given(random, { code: code(random) ?? 'a', owner: owner(random) }), id: undefined }]
    await Thing.bulkCreate(records, { ...options, updateOnDuplicate: ['owner'] as never[] })
  },
  upsert: async ({ models: { Thing }, options }, random) =>
    (await Thing.upsert(given(random, { id: id(random), owner: owner(random) }), options))[1],
  upsertWithBoth: async ({ models: { Thing }, options }, random) =>
    (await Thing.upsert(given(random, { id: id(random), code: code(random), owner: owner(random) }), options))[1],
  upsertByCode: async ({ models: { Thing }, options }, random) => {
    const { id: _, ...rest } = given(random, { id: 0, code: code(random) ?? 'b', owner: owner(random) })
    return (await Thing.upsert(rest, { ...options, conflictFields: ['code'] as never[] }))[1]
  },
  findOrCreate: async ({ models: { Thing }, options }, random) => {
    const where = { id: id(random) }
    const { id: _, ...defaults } = given(random, { owner: owner(random) })
    return (await Thing.findOrCreate({ where, defaults, ...options }))[1]
  },
  raw: async ({ sequelize, options }, random) => {
    await sequelize.query(`update things set owner = '${owner(random)}' where id = ${id(random)}`, options)
  },
  byInterface: async ({ sequelize, options }, random) => {
    await sequelize.getQueryInterface().bulkDelete('things', { id: id(random) }, options)
  },
}

const related: Readonly<Record<string, Run>> = {
  createShelf: async ({ models: { Shelf, Item, Note }, options }, random) => {
    const [shelf, first] = [id(random), id(random)]
    const values = { id: shelf, name: owner(random), Items: [{ id: first }], Notes: [{ id: first, text: 'a' }] }
    await Shelf.create(values, { include: [Item, Note], ...options })
  },
  createItem: async ({ models: { Item }, options }, random) =>
    row(await Item.create({ id: id(random), shelfId: id(random) }, options)),
  createMark: async ({ models: { Mark }, options }, random) =>
    row(await Mark.create({ id: id(random), itemId: id(random) }, options)),
  insertShelves: async ({ models: { Shelf }, options }, random) => {
    const records = [{ name: owner(random) }, { name: owner(random) }]
    return rows(await Shelf.bulkCreate(records, { ...options, returning: random.chance(0.5) }))
  },
  moveItems: async ({ models: { Item }, options }, random) =>
    Item.update({ shelfId: id(random) }, { where: { shelfId: id(random) }, ...options }),
  setItems: async ({ models: { Shelf }, options }, random) => {
    const shelf = await Shelf.findOne({ order: ['id'], ...options, rejectOnEmpty: true })
    await call(shelf, 'setItems', [id(random), id(random)], options)
  },
  destroyShelf: async ({ models: { Shelf }, options }, random) => {
    const shelf = await Shelf.findByPk(id(random), { ...options, rejectOnEmpty: true })
    return shelf.destroy(options)
  },
  destroyShelves: async ({ models: { Shelf }, options }, random) =>
    Shelf.destroy({ where: random.chance(0.5) ? { name: owner(random) } : { id: ids(random) }, ...options }),
  changeKeyOfShelf: async ({ models: { Shelf }, options }, random) =>
    Shelf.update({ id: id(random) }, { where: { id: id(random) }, ...options }),
  destroyItems: async ({ models: { Item }, options }, random) =>
    Item.destroy({ where: { shelfId: id(random) }, ...options }),
  createBox: async ({ models: { Box, Label }, options }, random) => {
    await Box.create({ id: id(random) }, options)
    await Label.create({ id: id(random) }, options)
  },
  addLabels: async ({ models: { Box }, options }, random) => {
    const box = await Box.findOne({ order: ['id'], ...options, rejectOnEmpty: true })
    await call(box, 'addLabels', ids(random).slice(1), options)
  },
  setLabels: async ({ models: { Box }, options }, random) => {
    const box = await Box.findOne({ order: [['id', 'desc']], ...options, rejectOnEmpty: true })
    await call(box, 'setLabels', [id(random)], options)
  },
  removeBoxes: async ({ models: { Label }, options }, random) => {
    const label = await Label.findOne({ order: ['id'], ...options, rejectOnEmpty: true })
    await call(label, 'removeBoxes', ids(random), options)
  },
  noteLabels: async ({ models: { BoxLabel }, options }, random) =>
    BoxLabel.update({ note: owner(random) }, { where: { boxId: { [Op.lt]: id(random) } }, ...options }),
  destroyBox: async ({ models: { Box }, options }, random) =>
    Box.destroy({ where: { id: { [Op.lte]: random.integer(3) } }, ...options }),
  draft: async ({ models: { Draft }, options }, random) => {
    await Draft.bulkCreate([{ id: id(random), text: owner(random) }], { ...options, ignoreDuplicates: true })
  },
  softDelete: async ({ models: { Draft }, options }, random) =>
    Draft.destroy({ where: { text: owner(random) }, force: random.chance(0.2), ...options }),
  restore: async ({ models: { Draft }, options }, random) => {
    await Draft.restore({ where: { text: owner(random) }, ...options })
  },
  sample: async ({ models: { Sample }, options }, random) =>
    (await Sample.upsert({ name: owner(random), memo: `memo ${random.integer(9)}` }, options))[1],
  updateSamples: async ({ models: { Sample }, options }, random) =>
    Sample.update({ memo: `memo ${random.integer(9)}` }, { where: { name: { [Op.ne]: owner(random) } }, ...options }),
  destroySample: async ({ models: { Sample }, options }, random) =>
    Sample.destroy({ where: { name: owner(random).toUpperCase() }, ...options }),
  truncate: async ({ models: { Note }, options }) => Note.destroy({ where: {}, ...options }),
}

/** All kinds of calls; what they answer is told apart from database to database by nothing but the seed. */
export const programSteps: readonly ProgramStep<ProgramWriter>[] = Object.entries({ ...things, ...related }).map(
  ([name, run]) => ({
    name,
    async run(writer, random) {
      try {
        return (await run(writer, random)) ?? null
      } catch (error) {
        throw named(error)
      }
    },
  }),
)

/** An error that is named by all that an application could tell of it. */
function named(error: unknown): Error {
  const { name, message, sql } = error as Error & { readonly sql?: unknown }
  const text = `${name}: ${message} ${typeof sql === 'string' ? sql : ''}`
  const same = text
    // A driver names the values of the statement, which may be those of the one that looked for its records.
    .replace(/ - parameters:\[[^\]]*\]/g, '')
    .replace(/conn:\d+/g, 'conn')
    .replace(/rtapi_\w+/g, 'database')
    .replace(/\d{4}-\d\d-\d\d[^,)']*/g, 'now')
  return Object.assign(new Error(message), { name: same.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'uuid') })
}

function row(instance: Model): unknown {
  return instance.get({ plain: true })
}

function rows(instances: readonly Model[]): unknown {
  return instances.map(row)
}

async function call(instance: object, name: string, ...args: readonly unknown[]): Promise<unknown> {
  const method = Reflect.get(instance, name) as (...args: readonly unknown[]) => Promise<unknown>
  return method.apply(instance, [...args])
}
