import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Access, accessControl } from '../src/access.ts'
import { memoryStore } from '../src/memory-store.ts'
import { matchesFilter } from '../src/match-filter.ts'
import type { Permission } from '../src/permission.ts'
import { every, forActions, isAdmin, isAuthenticated, not, owns, readOnly, some } from '../src/permissions.ts'
import { RtapiError, defaultLimits } from '../src/protocol.ts'
import { defineResource } from '../src/resource.ts'
import { type ResourceModel, resolveResource } from '../src/resource-model.ts'
import { systemClock } from '../src/runtime.ts'
import type { Session, User } from '../src/session.ts'

type Note = { id: number; owner: number; open: boolean; text: string }
type Rule = Permission<Note>

const store = memoryStore<Note>({
  entity: 'Note',
  fields: { id: 'integer', owner: 'integer', open: 'boolean', text: 'string' },
})
const reported: unknown[] = []
const control = accessControl({ ...defaultLimits, ruleTimeout: 20 }, systemClock, (error) => reported.push(error))
const modelOf = (...permissions: readonly Rule[]) => resolveResource(defineResource('notes', { store, permissions }))
const signedIn = (user: User): Session => ({ user })
const anonymous: Session = { user: null }
const row = (note: Partial<Note>): Note => ({ id: 1, owner: 1, open: true, text: '', ...note })

/** What the permission says of one row in all: may it be read, or written, by this action? */
async function permits(permission: Rule, session: Session, action: string, note: Note): Promise<boolean> {
  const model = modelOf(permission)
  const access = await control.access(model, session, action)
  if (access === null || !matchesFilter(access.scope, model.types, note)) return false
  return action === 'list' || control.allowsRecord(model, session, action, note)
}

function matches(access: Access | null, model: ResourceModel, note: Note): boolean {
  return access !== null && matchesFilter(access.scope, model.types, note)
}

// Users carry more than core asks for.
const admin9 = { id: 9, role: 'admin' }
const flagged = { id: 2, admin: true }

describe('ready-made permissions', () => {
  const admin = signedIn(admin9)
  const ada = signedIn({ id: 1 })
  const table: readonly (readonly [string, Rule, Session, string, Note, boolean])[] = [
    ['nobody is permitted by an empty list', every(), ada, 'list', row({}), false],
    ['an empty rule permits', {}, anonymous, 'update', row({}), true],
    ['isAuthenticated', isAuthenticated, anonymous, 'list', row({}), false],
    ['isAuthenticated', isAuthenticated, ada, 'list', row({}), true],
    ['isAdmin by role', isAdmin, admin, 'delete', row({}), true],
    ['isAdmin by flag', isAdmin, signedIn(flagged), 'delete', row({}), true],
    ['isAdmin', isAdmin, ada, 'list', row({}), false],
    ['readOnly reads', readOnly, anonymous, 'list', row({}), true],
    ['readOnly does not write', readOnly, ada, 'archive', row({}), false],
    ['owns does not limit reads', owns<Note>('owner'), anonymous, 'list', row({ owner: 2 }), true],
    ['owns: the owner writes', owns<Note>('owner'), ada, 'update', row({ owner: 1 }), true],
    ['owns: others do not', owns<Note>('owner'), ada, 'update', row({ owner: 2 }), false],
    ['owns: nobody signed in does not', owns<Note>('owner'), anonymous, 'delete', row({}), false],
    ['forActions limits these actions', forActions(['delete'], isAdmin), ada, 'delete', row({}), false],
    ['forActions leaves others alone', forActions(['delete'], isAdmin), ada, 'update', row({}), true],
    ['some: either branch', some(isAdmin, owns<Note>('owner')), admin, 'update', row({ owner: 2 }), true],
    [
      'some: branches are not mixed',
      some({ scope: () => ({ open: true }), allowsRecord: () => false }, { scope: () => ({ open: false }) }),
      ada,
      'update',
      row({ open: true }),
      false,
    ],
    ['not: of a session', not(isAuthenticated), anonymous, 'list', row({}), true],
    ['not: of rows', not<Note, User>({ scope: () => ({ open: true }) }), ada, 'list', row({ open: false }), true],
    [
      'not: of rows, the others',
      not<Note, User>({ scope: () => ({ open: true }) }),
      ada,
      'list',
      row({ open: true }),
      false,
    ],
  ]
  test.each(table)('%s', async (_name, permission, session, action, note, permitted) => {
    expect(await permits(permission, session, action, note)).toBe(permitted)
  })

  test('a create may leave the owner out, but not name another', async () => {
    const model = modelOf(owns<Note>('owner'))
    expect(await control.allowsRecord(model, ada, 'create', { text: 'x' })).toBe(true)
    expect(await control.allowsRecord(model, ada, 'create', { owner: 1 })).toBe(true)
    expect(await control.allowsRecord(model, ada, 'create', { owner: 2 })).toBe(false)
    expect(await control.allowsRecord(model, anonymous, 'create', {})).toBe(false)
  })
})

describe('fields', () => {
  const fieldsOf = async (...permissions: readonly Rule[]): Promise<readonly string[] | undefined> =>
    (await control.access(modelOf(...permissions), anonymous, 'list'))?.fields
  test('are all by default, and what every rule shows', async () => {
    expect(await fieldsOf({})).toEqual(['id', 'owner', 'open', 'text'])
    expect(await fieldsOf({ fields: () => ['id', 'text'] }, { fields: () => ['text', 'open'] })).toEqual(['text'])
    expect(await fieldsOf({ fields: () => false })).toEqual([])
  })
  test('are those of all branches of some that permit the action', async () => {
    const hidden: Rule = { allows: () => false, fields: () => true }
    expect(await fieldsOf(some(hidden, { fields: () => ['id'] }, { fields: () => ['open'] }))).toEqual(['id', 'open'])
  })
})

describe('a rule that fails denies', () => {
  const failing: readonly (readonly [string, Rule])[] = [
    [
      'throws',
      {
        allows: () => {
          throw new Error('secret')
        },
      },
    ],
    ['rejects', { scope: () => Promise.reject(new Error('secret')) }],
    ['hangs', { scope: () => new Promise(() => undefined) }],
    ['names an unknown field', { scope: () => ({ nosuch: 1 }) as never }],
    ['forgets to return a scope', { scope: () => undefined as never }],
    ['forgets to return fields', { fields: () => undefined as never }],
  ]
  test.each(failing)('%s', async (_name, permission) => {
    reported.length = 0
    const failure = await Promise.resolve()
      .then(() => control.access(modelOf(permission), anonymous, 'list'))
      .then(
        () => undefined,
        (error: unknown) => error,
      )
    expect(failure).toBeInstanceOf(RtapiError)
    expect(failure).toMatchObject({ code: 'unavailable' })
    expect(JSON.stringify((failure as RtapiError).toWire())).not.toContain('secret')
    expect(reported).toHaveLength(1)
  })
  test('answers at once, or by a promise of whatever make', async () => {
    const thenable = <T>(value: T): Promise<T> => {
      const then = (done: (value: T) => void): void => queueMicrotask(() => done(value))
      // oxlint-disable-next-line unicorn/no-thenable -- promises that other libraries make are what this is about
      return { then } as unknown as Promise<T>
    }
    const mixed = modelOf(
      { allows: () => true, scope: () => ({ open: true }) },
      {
        allows: () => Promise.resolve(true),
        scope: () => thenable({ owner: 2 }),
        fields: () => thenable(['text', 'id']),
      },
      { allows: () => thenable(true), scope: () => true, fields: () => ['id', 'open'] },
    )
    const access = await control.access(mixed, anonymous, 'list')
    expect(access?.fields).toEqual(['id'])
    expect([{}, { owner: 2 }, { owner: 2, open: false }].map((note) => matches(access, mixed, row(note)))).toEqual([
      false,
      true,
      false,
    ])
    const denying = modelOf({ allows: () => true }, { allows: () => thenable(false) }, { allows: () => true })
    expect(await control.access(denying, anonymous, 'list')).toBeNull()
    const quick = modelOf({ allows: () => true, scope: () => ({ open: true }), fields: () => true })
    expect(control.access(quick, anonymous, 'list')).not.toHaveProperty('then')
  })
  test('forgets to return whether it allows', async () => {
    expect(await control.access(modelOf({ allows: () => undefined as never }), anonymous, 'list')).toBeNull()
    expect(
      await control.allowsRecord(modelOf({ allowsRecord: () => 'yes' as never }), anonymous, 'update', row({})),
    ).toBe(false)
  })
})

/** A rule, and the same rule as plain logic on a row. */
interface Described {
  readonly permission: Rule
  readonly holds: (note: Note, action: string) => boolean
}

const simple: fc.Arbitrary<Described> = fc.oneof(
  fc.boolean().map((allows): Described => ({ permission: { allows: () => allows }, holds: () => allows })),
  fc
    .boolean()
    .map((open): Described => ({ permission: { scope: () => ({ open }) }, holds: (note) => note.open === open })),
  fc.boolean().map((all): Described => ({ permission: { scope: () => all }, holds: () => all })),
  fc.integer({ min: 1, max: 3 }).map((most): Described => ({
    permission: { scope: () => ({ owner: { lte: most } }) },
    holds: (note) => note.owner <= most,
  })),
  fc.integer({ min: 1, max: 3 }).map((owner): Described => ({
    permission: { allowsRecord: (_context, note) => note.owner === owner },
    holds: (note, action) => action === 'list' || note.owner === owner,
  })),
)

const rules: fc.Arbitrary<Described> = fc.letrec<{ rule: Described }>((tie) => ({
  rule: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    simple,
    fc.array(tie('rule'), { minLength: 1, maxLength: 3 }).map((parts): Described => ({
      permission: every(...parts.map(({ permission }) => permission)),
      holds: (note, action) => parts.every(({ holds }) => holds(note, action)),
    })),
    fc.array(tie('rule'), { maxLength: 3 }).map((parts): Described => ({
      permission: some(...parts.map(({ permission }) => permission)),
      holds: (note, action) => parts.some(({ holds }) => holds(note, action)),
    })),
  ),
})).rule

test('every and some mean, for each row, what they say', async () => {
  const notes = fc.record({
    id: fc.constant(1),
    owner: fc.integer({ min: 1, max: 4 }),
    open: fc.boolean(),
    text: fc.constant(''),
  })
  await fc.assert(
    fc.asyncProperty(rules, notes, fc.constantFrom('list', 'update'), async ({ permission, holds }, note, action) => {
      expect(await permits(permission, anonymous, action, note)).toBe(holds(note, action))
    }),
    { numRuns: 300 },
  )
})

test('not means, for each row and write, the opposite', async () => {
  const notes = fc.record({
    id: fc.constant(1),
    owner: fc.integer({ min: 1, max: 4 }),
    open: fc.boolean(),
    text: fc.constant(''),
  })
  await fc.assert(
    fc.asyncProperty(rules, notes, async ({ permission, holds }, note) => {
      expect(await permits(not(permission), anonymous, 'update', note)).toBe(!holds(note, 'update'))
    }),
    { numRuns: 300 },
  )
})
