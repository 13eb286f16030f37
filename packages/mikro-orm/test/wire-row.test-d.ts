import {
  type Collection,
  type Hidden,
  type InferEntity,
  type Opt,
  type Ref,
  type ScalarRef,
  defineEntity,
  p,
} from '@mikro-orm/core'
import { type Json, type Store, allowAny, defineResource } from '@rtapi/core'
import { assertType, expectTypeOf, test } from 'vitest'
import type { RtapiMikroOrm, WireRow } from '../src/index.ts'

const Owner = defineEntity({ name: 'Owner', properties: { id: p.bigint().primary(), name: p.string() } })
const Address = defineEntity({
  name: 'Address',
  embeddable: true,
  properties: { city: p.string(), since: p.datetime().nullable() },
})
const Task = defineEntity({
  name: 'Task',
  properties: {
    id: p.integer().primary(),
    title: p.string(),
    state: p.enum(['open', 'done'] as const).default('open'),
    priority: p.enum([1, 2] as const),
    done: p.boolean().default(false),
    price: p.decimal().nullable(),
    size: p.bigint(),
    image: p.blob().nullable(),
    dueAt: p.datetime().nullable(),
    createdAt: p.datetime().onCreate(() => new Date()),
    version: p.integer().version(),
    meta: p.json<{ tags: string[]; at: Date }>(),
    anything: p.json<unknown>(),
    plain: p.json<object>(),
    password: p.string().hidden(),
    address: () => p.embedded(Address),
    owner: () => p.manyToOne(Owner),
    reviewer: () => p.manyToOne(Owner).ref().nullable(),
    children: () => p.oneToMany(Task).mappedBy('parent'),
    parent: () => p.manyToOne(Task).nullable(),
  },
})

interface TaskWire {
  readonly id: number
  readonly title: string
  readonly state: 'open' | 'done'
  readonly priority: 1 | 2
  readonly done: boolean
  readonly price: string | null
  readonly size: string
  readonly image: string | null
  readonly dueAt: string | null
  readonly createdAt: string
  readonly version: number
  readonly anything: Json
  readonly plain: Json
  readonly meta: { readonly tags: readonly string[]; readonly at: string }
  readonly address: { readonly city: string; readonly since: string | null }
  readonly ownerId: string
  readonly reviewerId: string | null
  readonly parentId: number | null
}

/** An interface as a type, which has no index by surprise. */
type Plain<T> = { readonly [K in keyof T]: T[K] }

class Author {
  id!: number
  name!: Opt<string>
  secret!: Hidden<string>
  biography!: ScalarRef<string>
  books!: Collection<Book>
  greet(): string {
    return this.name
  }
}

class Book {
  uuid!: string
  title?: string
  publishedAt?: Date | null
  author!: Ref<Author>
  editor?: Author
}

test('the row of an entity made by defineEntity', () => {
  expectTypeOf<WireRow<InferEntity<typeof Task>>>().toEqualTypeOf<TaskWire>()
})

test('the row of an entity class', () => {
  expectTypeOf<WireRow<Author>>().toEqualTypeOf<{ readonly id: number; readonly name: string }>()
  expectTypeOf<WireRow<Book>>().toEqualTypeOf<{
    readonly uuid: string
    readonly title: string | null
    readonly publishedAt: string | null
    readonly authorId: number
    readonly editorId: number | null
  }>()
})

test('the store is one of these rows, without those that are excluded', () => {
  const live = {} as RtapiMikroOrm
  const store = live.store(Task)
  assertType<Store<Plain<TaskWire>, never, never>>(store)
  expectTypeOf(store.read([1])).resolves.toExtend<readonly TaskWire[]>()
  const shorter = live.store(Task, { exclude: ['meta', 'address'] })
  expectTypeOf<Awaited<ReturnType<typeof shorter.read>>[number]>().not.toHaveProperty('meta')
  expectTypeOf<Awaited<ReturnType<typeof shorter.read>>[number]>().toHaveProperty('title')
  expectTypeOf(live.store(Book).entity).toEqualTypeOf<string>()
})

test('a create takes fields in wire form or as the entity holds them', () => {
  type Create = Parameters<ReturnType<typeof taskStore>['create']>[0]
  assertType<Create>({ title: 'a', dueAt: '2026-01-31T12:00:00.000Z', size: '1', ownerId: '7' })
  assertType<Create>({ title: 'a', dueAt: new Date(), size: 1n, image: new Uint8Array() })
  // @ts-expect-error -- not one of the enum
  assertType<Create>({ state: 'closed' })
  // @ts-expect-error -- hidden
  assertType<Create>({ password: 'secret' })
})

function taskStore() {
  return ({} as RtapiMikroOrm).store(Task)
}

test('a resource has the types of its store', () => {
  const tasks = defineResource('tasks', {
    store: ({} as RtapiMikroOrm).store(Task),
    fields: ['id', 'title', 'ownerId'],
    input: { create: ['title', 'ownerId', 'state'] },
    permissions: [allowAny],
  })
  type Types = NonNullable<(typeof tasks)['~types']>
  expectTypeOf<Types['row']>().toEqualTypeOf<Pick<TaskWire, 'id' | 'title' | 'ownerId'>>()
  assertType<Types['create']>({ title: 'a', state: 'open' })
  defineResource('wrong', {
    store: ({} as RtapiMikroOrm).store(Task),
    // @ts-expect-error -- hidden
    fields: ['password'],
    permissions: [allowAny],
  })
})
