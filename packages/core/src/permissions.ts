/** Ready-made permissions and the combinators that join them. */
import type { Where } from './filter.ts'
import type { Permission, PermissionContext } from './permission.ts'
import { type MaybePromise, after, isPromise } from './runtime.ts'
import type { User } from './session.ts'
import type { Row } from './value.ts'

type AnyPermission<R, U extends User> = Permission<R, U>
type Context<U extends User> = PermissionContext<U>

const readActions: ReadonlySet<string> = new Set(['list', 'get', 'describe', 'subscribe'])

/** Whether an action only reads. Everything else, a resource's own actions too, counts as a write. */
export function isRead(action: string): boolean {
  return readActions.has(action)
}

/** A permission that looks at the session and the action alone, and so fits every resource. */
export type SessionPermission = Pick<Permission, 'allows'>

/** Permits everything to everybody. */
export const allowAny: SessionPermission = {}

/** Permits signed-in sessions. */
export const isAuthenticated: SessionPermission = { allows: ({ session }) => session.user !== null }

/** Permits users whose `role` is `'admin'` or whose `admin` is `true`. */
export const isAdmin: SessionPermission = {
  allows({ session: { user } }) {
    if (user === null) return false
    return ('role' in user && user.role === 'admin') || ('admin' in user && user.admin === true)
  },
}

/** Permits list, get, describe and subscribe alone. */
export const readOnly: SessionPermission = { allows: ({ action }) => isRead(action) }

/**
 * Lets a session write only the records whose `field` holds the id of its user. Reads are not limited. A create may
 * leave the field out (where the server fills it in), but not name another user.
 */
export function owns<R = Row>(field: keyof R & string): Permission<R> {
  return {
    scope({ session, action }) {
      if (isRead(action)) return true
      return session.user !== null && ({ [field]: session.user.id } as Where<R>)
    },
    allowsRecord({ session, action }, row) {
      const owner: unknown = row[field]
      if (action === 'create' && owner === undefined) return session.user !== null
      return session.user !== null && owner === session.user.id
    },
  }
}

/** Asks the permission for these actions alone; the others are not limited by it. */
export function forActions<R, U extends User>(
  actions: readonly string[],
  permission: Permission<R, U>,
): Permission<R, U> {
  const concerned = new Set(actions)
  const asks = ({ action }: Context<U>): boolean => concerned.has(action)
  return {
    allows: (context) => !asks(context) || allows(permission, context),
    scope: (context) => !asks(context) || scope(permission, context),
    allowsRecord: (context, row) => !asks(context) || allowsRecord(permission, context, row),
    fields: (context) => !asks(context) || fields(permission, context),
  }
}

/** Permits what all of them permit; nothing if there are none. */
export function every<R, U extends User>(...permissions: readonly Permission<R, U>[]): Required<Permission<R, U>> {
  const isSome = permissions.length > 0
  return {
    allows: (context) => isSome && inTurn(permissions, (permission) => allows(permission, context), isTrue),
    scope(context) {
      const wheres: Where<R>[] = []
      const goesOn = (where: Where<R> | boolean): boolean => {
        if (typeof where === 'object') wheres.push(where)
        return where !== false
      }
      return after(
        inTurn(permissions, (permission) => scope(permission, context), goesOn),
        (all) => all && (wheres.length === 0 ? isSome : join('and', wheres)),
      )
    },
    allowsRecord: (context, row) =>
      isSome && inTurn(permissions, (permission) => allowsRecord(permission, context, row), isTrue),
    fields(context) {
      let common: readonly (keyof R & string)[] | undefined
      const goesOn = (some: readonly (keyof R & string)[] | boolean): boolean => {
        if (typeof some === 'object') common = common?.filter((field) => some.includes(field)) ?? some
        return some !== false
      }
      return after(
        inTurn(permissions, (permission) => fields(permission, context), goesOn),
        (all) => all && (common ?? isSome),
      )
    },
  }
}

/**
 * Permits what at least one of them permits. A row is permitted when one of them permits the action, has the row in its
 * scope and allows the write on it; permissions are not mixed. Fields are those of all that permit the action.
 */
export function some<R, U extends User>(...permissions: readonly Permission<R, U>[]): Permission<R, U> {
  return {
    async allows(context) {
      for (const permission of permissions) if (await allows(permission, context)) return true
      return false
    },
    async scope(context) {
      const wheres: Where<R>[] = []
      for (const permission of permissions) {
        if (!(await allows(permission, context))) continue
        const where = await scope(permission, context)
        if (where === true) return true
        if (where !== false) wheres.push(where)
      }
      return wheres.length > 0 && join('or', wheres)
    },
    async allowsRecord(context, row) {
      for (const permission of permissions) if (await permitsRow(permission, context, row)) return true
      return false
    },
    async fields(context) {
      const union = new Set<keyof R & string>()
      for (const permission of permissions) {
        if (!(await allows(permission, context))) continue
        const some = await fields(permission, context)
        if (some === true) return true
        if (some !== false) for (const field of some) union.add(field)
      }
      return [...union]
    },
  }
}

/** Permits the actions and rows which the other does not permit. Fields are not limited. */
export function not<R, U extends User>(permission: Permission<R, U>): Permission<R, U> {
  return {
    async allows(context) {
      if (!(await allows(permission, context))) return true
      return permission.allowsRecord !== undefined || (await scope(permission, context)) !== true
    },
    async scope(context) {
      if (!(await allows(permission, context))) return true
      const where = await scope(permission, context)
      if (typeof where === 'boolean') return !where || permission.allowsRecord !== undefined
      return permission.allowsRecord === undefined ? ({ not: where } as Where<R>) : true
    },
    allowsRecord: async (context, row) => !(await permitsRow(permission, context, row)),
  }
}

async function permitsRow<R, U extends User>(
  permission: AnyPermission<R, U>,
  context: Context<U>,
  row: Partial<R>,
): Promise<boolean> {
  if (!(await allows(permission, context))) return false
  const where = await scope(permission, context)
  // A create has no row yet that a scope could hold: the record alone is judged.
  const inScope =
    context.action === 'create' || (typeof where === 'boolean' ? where : context.matches(where, row as Row))
  return inScope && (await allowsRecord(permission, context, row))
}

function join<R>(operator: 'and' | 'or', wheres: readonly Where<R>[]): Where<R> {
  const [first] = wheres
  return wheres.length === 1 && first !== undefined ? first : ({ [operator]: wheres } as Where<R>)
}

/**
 * Asks one permission after the other until an answer ends it; whether all went on. They are asked for every request:
 * only answers that are promises are waited for.
 */
function inTurn<P, A>(
  permissions: readonly P[],
  ask: (permission: P) => MaybePromise<A>,
  goesOn: (answer: A) => boolean,
): MaybePromise<boolean> {
  for (const [i, permission] of permissions.entries()) {
    const answer = ask(permission)
    if (isPromise(answer))
      return answer.then((answered) => goesOn(answered) && inTurn(permissions.slice(i + 1), ask, goesOn))
    if (!goesOn(answer)) return false
  }
  return true
}

function isTrue(answer: unknown): boolean {
  return answer === true
}

// An absent member permits. An answer that is none, such as that of a rule which forgets to return, must not.
function allows<R, U extends User>(permission: AnyPermission<R, U>, context: Context<U>): MaybePromise<boolean> {
  return permission.allows === undefined || after(permission.allows(context), isTrue)
}

function allowsRecord<R, U extends User>(
  permission: AnyPermission<R, U>,
  context: Context<U>,
  row: Partial<R>,
): MaybePromise<boolean> {
  return permission.allowsRecord === undefined || after(permission.allowsRecord(context, row), isTrue)
}

function scope<R, U extends User>(
  permission: AnyPermission<R, U>,
  context: Context<U>,
): MaybePromise<Where<R> | boolean> {
  return permission.scope === undefined || after(permission.scope(context), checkedScope)
}

function checkedScope<W>(where: W): W {
  if (typeof where === 'boolean' || (typeof where === 'object' && where !== null)) return where
  throw new TypeError(`a scope answers a filter, true or false; this one answered ${typeof where}`)
}

function fields<R, U extends User>(
  permission: AnyPermission<R, U>,
  context: Context<U>,
): MaybePromise<readonly (keyof R & string)[] | boolean> {
  return permission.fields === undefined || after(permission.fields(context), checkedFields)
}

function checkedFields<F>(names: readonly F[] | boolean): readonly F[] | boolean {
  if (typeof names === 'boolean' || Array.isArray(names)) return names
  throw new TypeError(`fields answers an array of names, true or false; this one answered ${typeof names}`)
}
