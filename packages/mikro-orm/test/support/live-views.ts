import { type Api, allowAny, createApi, defineResource, groupBy } from '@rtapi/core'
import { type TestView, connect } from '@rtapi/testing'
import type { RtapiMikroOrm } from '../../src/index.ts'
import type { TestOrm } from './databases.ts'
import { Box, Crate, Draft, Item, Label, Note, Peg, Person, Pin, Rack, Shelf, Slot, Tag, Thing } from './entities.ts'

/** A view, and the statement that asks the database for the same by hand. */
interface Watched {
  readonly query: TestView['query']
  /** The fields of the view's rows, as the columns of the statement. */
  readonly fields: readonly string[]
  readonly sql: string
}

function all(resource: string, table: string, ...relations: readonly string[]): Watched {
  const columns = ['id', ...relations.map((name) => `${name}_id`)]
  const fields = ['id', ...relations.map((name) => `${name}Id`)]
  return { query: { resource }, fields, sql: `select ${columns.join(', ')} from ${table} order by id` }
}

const thingFields = ['id', 'text', 'owner']

const watched: readonly Watched[] = [
  { query: { resource: 'things' }, fields: thingFields, sql: 'select id, text, owner from things order by id' },
  {
    query: { resource: 'things', where: { owner: 'ann' } },
    fields: thingFields,
    sql: "select id, text, owner from things where owner = 'ann' order by id",
  },
  {
    query: { resource: 'things', where: { text: { in: ['a', 'b'] } }, order: [['id', 'desc']], limit: 3 },
    fields: thingFields,
    sql: "select id, text, owner from things where text in ('a', 'b') order by id desc limit 3",
  },
  { query: { resource: 'shelves' }, fields: ['id', 'name'], sql: 'select id, name from shelf order by id' },
  all('items', 'item', 'shelf'),
  {
    query: { resource: 'items', where: { shelfId: 1 } },
    fields: ['id', 'shelfId'],
    sql: 'select id, shelf_id from item where shelf_id = 1 order by id',
  },
  all('notes', 'note', 'shelf'),
  {
    query: { resource: 'notes', where: { shelfId: { isNull: true } } },
    fields: ['id', 'shelfId'],
    sql: 'select id, shelf_id from note where shelf_id is null order by id',
  },
  all('boxes', 'box'),
  all('labels', 'label'),
  all('crates', 'crate'),
  {
    query: { resource: 'tags' },
    fields: ['crateId', 'labelId', 'note'],
    sql: 'select crate_id, label_id, note from tag order by crate_id, label_id',
  },
  {
    query: { resource: 'drafts' },
    fields: ['id', 'text'],
    sql: 'select id, text from draft where deleted_at is null order by id',
  },
  {
    query: { resource: 'people' },
    fields: ['id', 'name'],
    sql: 'select id, name from person order by id',
  },
  { query: { resource: 'racks' }, fields: ['id', 'name'], sql: 'select id, name from rack order by id' },
  all('slots', 'slot', 'rack'),
  {
    query: { resource: 'slots', where: { rackId: { in: [1, 2] } } },
    fields: ['id', 'rackId'],
    sql: 'select id, rack_id from slot where rack_id in (1, 2) order by id',
  },
  all('pins', 'pin', 'slot'),
  all('pegs', 'peg', 'rack'),
]

/** An API with a view of every kind: whole resources and parts of them, limited ones, and such that are grouped. */
export class LiveViews {
  readonly #api: Api
  readonly #views: readonly TestView[]

  private constructor(api: Api, views: readonly TestView[]) {
    this.#api = api
    this.#views = views
  }

  static async open(live: RtapiMikroOrm): Promise<LiveViews> {
    const permissions = [allowAny]
    const things = live.store(Thing, { exclude: ['total'] })
    const resources = [
      defineResource('things', { store: things, groups: groupBy('owner'), permissions }),
      defineResource('shelves', { store: live.store(Shelf), permissions }),
      defineResource('items', { store: live.store(Item), groups: groupBy('shelfId'), permissions }),
      defineResource('notes', { store: live.store(Note), groups: groupBy('shelfId'), permissions }),
      defineResource('boxes', { store: live.store(Box), permissions }),
      defineResource('labels', { store: live.store(Label), permissions }),
      defineResource('crates', { store: live.store(Crate), permissions }),
      defineResource('tags', { store: live.store(Tag), permissions }),
      defineResource('drafts', { store: live.store(Draft), permissions }),
      defineResource('people', { store: live.store(Person), permissions }),
      defineResource('racks', { store: live.store(Rack), permissions }),
      defineResource('slots', { store: live.store(Slot), groups: groupBy('rackId'), permissions }),
      defineResource('pins', { store: live.store(Pin), permissions }),
      defineResource('pegs', { store: live.store(Peg), permissions }),
    ]
    const api = createApi({ resources, changes: [live.changes()] })
    const client = await connect(api, { timeout: 10_000 })
    const views: TestView[] = []
    for (const { query } of watched) views.push(await client.subscribe(query))
    return new LiveViews(api, views)
  }

  /** Waits until each view shows what the database answers if it is asked by hand, through another MikroORM. */
  async untilTrue(orm: TestOrm): Promise<void> {
    for (const [i, { sql, fields }] of watched.entries()) {
      const rows = await orm.em.fork().execute<readonly Record<string, unknown>[]>(sql)
      const wanted = JSON.stringify(rows.map((row) => Object.values(row)))
      const shows = (): string =>
        JSON.stringify(this.#views[i]?.rows.map((row) => fields.map((field) => row[field] ?? null)))
      await this.#views[i]
        ?.until(() => shows() === wanted)
        .catch((error: unknown) => {
          throw new Error(`${sql}: shown are ${shows()}, and not ${wanted}`, { cause: error })
        })
    }
  }

  async close(): Promise<void> {
    await this.#api.close()
  }
}
