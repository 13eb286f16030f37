import { type Json, type Row, type Store, allowAny, defineResource } from '@rtapi/core'
import {
  type CreationOptional,
  type ForeignKey,
  type InferAttributes,
  type InferCreationAttributes,
  Model,
  type NonAttribute,
  type Sequelize,
} from 'sequelize'
import { assertType, expectTypeOf, test } from 'vitest'
import type { RtapiSequelize, WireRow } from '../src/index.ts'

class Owner extends Model<InferAttributes<Owner>, InferCreationAttributes<Owner>> {
  declare id: CreationOptional<bigint>
  declare name: string
}

class Task extends Model<InferAttributes<Task>, InferCreationAttributes<Task>> {
  declare id: CreationOptional<number>
  declare title: string
  declare state: CreationOptional<'open' | 'done'>
  declare priority: 1 | 2
  declare done: CreationOptional<boolean>
  declare price: string | null
  declare image: Buffer | null
  declare dueAt: Date | null
  declare createdAt: CreationOptional<Date>
  declare meta: { tags: string[]; at: Date }
  declare anything: unknown
  declare password: string
  declare ownerId: ForeignKey<number>
  declare reviewerId: ForeignKey<number | null>
  declare owner?: NonAttribute<Owner>
  declare nick?: string

  rename(title: string): void {
    this.title = title
  }
}

interface TaskWire {
  readonly id: number
  readonly title: string
  readonly state: 'open' | 'done'
  readonly priority: 1 | 2
  readonly done: boolean
  readonly price: string | null
  readonly image: string | null
  readonly dueAt: string | null
  readonly createdAt: string
  readonly meta: { readonly tags: readonly string[]; readonly at: string }
  readonly anything: Json
  readonly password: string
  readonly ownerId: number
  readonly reviewerId: number | null
  readonly nick: string | null
}

declare const live: RtapiSequelize
declare const sequelize: Sequelize

test('a row holds the attributes as they travel', () => {
  expectTypeOf<WireRow<InferAttributes<Task>>>().toEqualTypeOf<TaskWire>()
  expectTypeOf<WireRow<InferAttributes<Owner>>>().toEqualTypeOf<{ readonly id: string; readonly name: string }>()
})

test('a store is typed from its model, without what it excludes', () => {
  const store = live.store(Task, { exclude: ['password'] })
  expectTypeOf<Awaited<ReturnType<typeof store.read>>[number]>().toEqualTypeOf<Omit<TaskWire, 'password'>>()
  assertType<unknown>(store.create({ title: 'a', priority: 1, dueAt: new Date(), meta: { tags: [], at: '2026' } }))
  // @ts-expect-error -- There is no such state.
  void store.create({ state: 'closed' })
  // @ts-expect-error -- It is excluded.
  void store.create({ password: 'x' })
})

test('a resource knows the fields of the store', () => {
  const resource = defineResource('tasks', {
    store: live.store(Task),
    input: { create: ['title'], update: ['state'] },
    permissions: [allowAny],
  })
  assertType<string>(resource.name)
  // @ts-expect-error -- There is no such field.
  defineResource('tasks', { store: live.store(Task), input: { create: ['nothing'] }, permissions: [allowAny] })
})

test('a model without typed attributes has rows of anything', () => {
  const store = live.store(sequelize.define('Anything', {}))
  expectTypeOf<Awaited<ReturnType<typeof store.read>>[number]>().toEqualTypeOf<Row>()
  assertType<Store>(store)
})
