import { expectTypeOf, test } from 'vitest'
import type { Where } from '../src/filter.ts'
import type { Permission } from '../src/permission.ts'
import { and, or } from '../src/where.ts'

type Task = { readonly id: number; readonly ownerId: number | null; readonly title: string; readonly public: boolean }

test('and and or take the rows from where they stand', () => {
  const permission: Permission<Task> = {
    scope: ({ session }) =>
      session.user === null
        ? false
        : or({ public: true }, { ownerId: null }, and({ ownerId: 7 }, { title: { startsWith: 'a' } })),
  }
  expectTypeOf(permission).toEqualTypeOf<Permission<Task>>()
  expectTypeOf(or<Task>({ public: true }, { ownerId: { in: [1, 2] } })).toEqualTypeOf<Where<Task>>()
})

test('a scope may be promised', () => {
  const permission: Permission<Task> = { scope: async () => or({ public: true }, { ownerId: 7 }) }
  expectTypeOf(permission).toEqualTypeOf<Permission<Task>>()
})

test('a misspelled field and a value of another type are mistakes', () => {
  // @ts-expect-error there is no field `owner`
  or<Task>({ owner: 7 })
  // @ts-expect-error `public` is not a text
  and<Task>({ public: 'yes' })
  const permission: Permission<Task> = {
    // @ts-expect-error there is no field `owner`
    scope: () => or({ public: true }, { owner: 7 }),
  }
  expectTypeOf(permission).toEqualTypeOf<Permission<Task>>()
})
