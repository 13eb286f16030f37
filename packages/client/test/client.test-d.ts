import { type Api, allowAny, createApi, defineResource, memoryStore, type StandardSchema } from '@rtapi/core'
import { describe, expectTypeOf, test } from 'vitest'
import {
  type Description,
  type Key,
  type LiveView,
  type Page,
  type Row,
  type Written,
  createClient,
} from '../src/index.ts'

// A type alias: an interface has no index signature, which rows need.
type Comment = { id: number; topicId: number; text: string; author: string | null; secret: string }

interface NewComment {
  topicId: number
  text: string
}

declare const newComment: StandardSchema<NewComment>
declare const counting: StandardSchema<{ since: string }>

const store = memoryStore<Comment>({
  entity: 'comment',
  fields: {
    id: 'integer',
    topicId: 'integer',
    text: 'string',
    author: { type: 'string', nullable: true },
    secret: 'string',
  },
})

const comments = defineResource('comments', {
  store,
  fields: ['id', 'topicId', 'text', 'author'],
  input: { create: newComment, update: ['text'] },
  lookups: { ids: { field: 'id', operator: 'in' }, anonymous: { field: 'author', operator: 'isNull' } },
  params: ['topicId'],
  permissions: [allowAny],
  ownActions: {
    archive: { record: true, run: (): boolean => true },
    count: { input: counting, run: (): number => 3 },
    ping: { run: (): string => 'pong' },
  },
})
const topics = defineResource('topics', {
  store: memoryStore({ entity: 'topic', fields: { id: 'integer', title: 'string' } }),
  permissions: [allowAny],
})
const api = createApi({ resources: [comments, topics] })
const client = createClient<typeof api>({ url: 'ws://server' })

type Seen = Pick<Comment, 'id' | 'topicId' | 'text' | 'author'>

describe('the resources of the API', () => {
  test('are members of the client', () => {
    expectTypeOf(client).toHaveProperty('comments')
    expectTypeOf(client).toHaveProperty('topics')
    expectTypeOf(client.resource('comments')).toEqualTypeOf(client.comments)
    // @ts-expect-error -- the API has no such resource
    void client.users
    // @ts-expect-error -- nor by name
    void client.resource('users')
  })

  test('a client without an API takes any name', () => {
    const any = createClient({ url: 'ws://server' })
    expectTypeOf(any.resource('whatever').live()).toEqualTypeOf<LiveView<Row>>()
    expectTypeOf(any['whatever']?.get(1)).toEqualTypeOf<Promise<Row> | undefined>()
  })
})

describe('rows', () => {
  test('have the fields that the resource shows', () => {
    expectTypeOf(client.comments.live().rows).toEqualTypeOf<readonly Seen[]>()
    expectTypeOf(client.comments.list()).toEqualTypeOf<Promise<Page<Seen>>>()
    expectTypeOf(client.comments.get(1)).toEqualTypeOf<Promise<Seen>>()
    // @ts-expect-error -- the resource does not show it
    void client.comments.live().rows[0]?.secret
    // @ts-expect-error -- rows are never mutated
    void client.comments.live().rows.push
  })

  test('are narrowed by fields', () => {
    const view = client.comments.live({ fields: ['id', 'text'] })
    expectTypeOf(view.rows[0]).toEqualTypeOf<{ readonly id: number; readonly text: string } | undefined>()
    expectTypeOf(client.comments.get(1, { fields: ['author'] })).resolves.toEqualTypeOf<{
      readonly author: string | null
    }>()
    // @ts-expect-error -- not among the fields
    void client.comments.live({ fields: ['secret'] })
    // @ts-expect-error -- not asked for
    void view.rows[0]?.author
  })
})

describe('queries', () => {
  test('filter by fields and lookups, with their types', () => {
    void client.comments.live({
      where: { topicId: 7, text: { startsWith: 'a' }, or: [{ author: null }, { author: 'x' }] },
    })
    void client.comments.list({ where: { ids: [1, 2], anonymous: true }, after: 'cursor' })
    // @ts-expect-error -- a number is wanted
    void client.comments.live({ where: { topicId: '7' } })
    // @ts-expect-error -- no such field
    void client.comments.live({ where: { topic: 7 } })
    // @ts-expect-error -- a list of numbers is wanted
    void client.comments.list({ where: { ids: ['1'] } })
    // @ts-expect-error -- a live view has no pages
    void client.comments.live({ after: 'cursor' })
  })

  test('order by fields, as an object or as pairs', () => {
    void client.comments.live({ order: { topicId: 'asc', id: 'desc' } })
    void client.comments.live({
      order: [
        ['topicId', 'asc'],
        ['id', 'desc'],
      ],
    })
    // @ts-expect-error -- no such field
    void client.comments.live({ order: { when: 'asc' } })
    // @ts-expect-error -- no such direction
    void client.comments.live({ order: [['id', 'down']] })
  })

  test('name the parents that the resource has', () => {
    void client.comments.live({ params: { topicId: 7 } })
    // @ts-expect-error -- no such parent
    void client.comments.live({ params: { text: 'x' } })
    // @ts-expect-error -- the parent's type
    void client.comments.live({ params: { topicId: 'x' } })
    // @ts-expect-error -- this resource has no parents
    void client.topics.live({ params: { topicId: 7 } })
  })
})

describe('writes', () => {
  test('take what the resource takes', () => {
    expectTypeOf<(typeof client.comments)['create']>().parameter(0).toEqualTypeOf<NewComment>()
    expectTypeOf<(typeof client.comments)['update']>().parameters.toExtend<
      [Key, { readonly text?: string }, unknown?]
    >()
    expectTypeOf(client.comments.create({ topicId: 7, text: 'a' })).toEqualTypeOf<Promise<Written<Seen>>>()
    void client.comments.update(1, { text: 'b' }, { ifVersion: 3 })
    void client.comments.delete(1)
    // @ts-expect-error -- the text is missing
    void client.comments.create({ topicId: 7 })
    // @ts-expect-error -- cannot be written
    void client.comments.update(1, { author: 'x' })
    // @ts-expect-error -- a create has no version to compare
    void client.comments.create({ topicId: 7, text: 'a' }, { ifVersion: 3 })
    // @ts-expect-error -- the resource takes no creates
    void client.topics.create({ title: 'x' })
  })
})

describe('own actions', () => {
  test('take a key, data or nothing, and answer what they answer', () => {
    expectTypeOf(client.comments.action('archive', { key: 1 })).toEqualTypeOf<Promise<boolean>>()
    expectTypeOf(client.comments.action('count', { data: { since: 'x' } })).toEqualTypeOf<Promise<number>>()
    expectTypeOf(client.comments.action('ping')).toEqualTypeOf<Promise<string>>()
    void client.comments.action('ping', { timeout: 5 })
    // @ts-expect-error -- about which record?
    void client.comments.action('archive')
    // @ts-expect-error -- its data is missing
    void client.comments.action('count', {})
    // @ts-expect-error -- takes no data
    void client.comments.action('ping', { data: 1 })
    // @ts-expect-error -- no such action
    void client.comments.action('explode')
    // @ts-expect-error -- this resource has none
    void client.topics.action('archive', { key: 1 })
  })
})

test('a view is a store and an async iterable of its rows', () => {
  const view = client.comments.live()
  expectTypeOf(view.getSnapshot).toEqualTypeOf<() => readonly Seen[]>()
  expectTypeOf(view.subscribe).toBeCallableWith(() => undefined)
  expectTypeOf(view[Symbol.asyncIterator]().next()).toEqualTypeOf<Promise<IteratorResult<readonly Seen[], undefined>>>()
  expectTypeOf(client.comments.describe()).resolves.toEqualTypeOf<Description>()
})

test('an API given by its interface alone has the same types', () => {
  const other = createClient<Api<readonly [typeof comments]>>({ url: 'ws://server' })
  expectTypeOf(other.comments).toEqualTypeOf(client.comments)
})
