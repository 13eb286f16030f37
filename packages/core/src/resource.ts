import type { Operators, Where } from './filter.ts'
import type { GroupNaming } from './groups.ts'
import type { Permission, StandardAction } from './permission.ts'
import type { MaybePromise } from './runtime.ts'
import type { Session, User } from './session.ts'
import type { StandardSchema } from './standard-schema.ts'
import type { Store, WriteResult } from './store.ts'
import type { Json, Key, Row } from './value.ts'

/**
 * How the data of a write is checked: a Standard Schema validator, or a list of the fields that may be written, each
 * then checked against its type in the store. Fields that the validator does not let through are refused, not dropped.
 */
export type Input<R, In, Out> = StandardSchema<In, Out> | readonly (keyof R & string)[]

/**
 * A filter under a name of its own: `where: { ids: [1, 2] }` for `{ field: 'id', operator: 'in' }`. It may have the name
 * of its field: then a bare value is the lookup's, while null and operators keep their meaning.
 */
export interface Lookup<R = Row> {
  readonly field: keyof R & string
  readonly operator: 'eq' | 'ne' | 'in' | 'nin' | 'lt' | 'lte' | 'gt' | 'gte' | 'startsWith' | 'isNull'
  /** For `startsWith`: the letters A–Z and a–z are the same. @default false */
  readonly ignoreCase?: boolean
}

/** A change of records of another entity may change which rows of this resource exist for a session. */
export interface Dependency {
  /** The other entity, as its store or change source names it. */
  readonly entity: string
  /**
   * The users concerned, from the record as it was and as it is. If the rule asks for a field that is not known of a
   * change, or answers `undefined`, every session is asked anew; so, too, if there is no rule. A field that is null is
   * for the rule to leave out.
   */
  readonly users?: (record: Readonly<Record<string, Json>>) => readonly (string | number)[] | undefined
}

/** What an override or an own action is told besides its data. */
export interface ActionContext<U extends User = User> {
  readonly session: Session<U>
  readonly params: Readonly<Record<string, Json>>
}

/** Replaces a standard write. The permission has been asked and the data validated. */
export interface Overrides<Create, Update> {
  create?(context: ActionContext, data: Create): MaybePromise<WriteResult>
  /** `null`: there is no such record any more. */
  update?(context: ActionContext, key: Key, patch: Update): MaybePromise<WriteResult | null>
  delete?(context: ActionContext, key: Key): MaybePromise<WriteResult | null>
}

/** An action of the resource's own. */
export interface OwnAction<R = Row, In = unknown, Out = Json> {
  /** Checks the data. Absent: the action takes none. */
  readonly input?: StandardSchema<In, unknown>
  /** `true`: the action is about one record, which the session must be allowed to read and to use the action on. */
  readonly record?: boolean
  /** Answers what the reply carries as `data`. `call.row` is there when `record` is true. */
  run(
    context: ActionContext,
    call: { readonly data: unknown; readonly key: Key | undefined; readonly row: R | undefined },
  ): MaybePromise<Out>
}

/** What the client knows of a resource's types; it exists at compile time only. */
export interface ResourceTypes {
  readonly row: unknown
  readonly where: unknown
  readonly create: unknown
  readonly update: unknown
  readonly params: string
  readonly actions: unknown
}

export interface ResourceOptions<R extends Row, Create, Update> extends Overrides<Create, Update> {
  readonly store: Store<R, Create, Update>
  /** The fields clients may ever see; nothing else of a record leaves the server. @default all of the store's fields */
  readonly fields?: readonly (keyof R & string)[]
  /** The standard actions on offer. @default all, but writes only with an `input` or an override */
  readonly actions?: readonly StandardAction[]
  /** @default no creates and no updates */
  readonly input?: { readonly create?: Input<R, unknown, Create>; readonly update?: Input<R, unknown, Update> }
  /** @default wholeResource() */
  readonly groups?: GroupNaming
  readonly lookups?: Readonly<Record<string, Lookup<R>>>
  /** Fields that nested routes give as `params`: they narrow every query and fill in creates. */
  readonly params?: readonly (keyof R & string)[]
  /** All must permit. An empty list permits nobody. */
  readonly permissions: readonly Permission<R>[]
  /** A field that grows with every write of a record, for `ifVersion`. */
  readonly version?: keyof R & string
  readonly dependsOn?: readonly Dependency[]
  readonly ownActions?: Readonly<Record<string, OwnAction<R>>>
}

/** A named definition which clients can address. Made by `defineResource`, given to `createApi`. */
export interface Resource<Name extends string = string, Types extends ResourceTypes = ResourceTypes> {
  readonly name: Name
  readonly options: ResourceOptions<Row, unknown, unknown>
  /** Never there at run time: carries the types to the client. */
  readonly '~types'?: Types
}

type InputOf<I, R> =
  I extends StandardSchema<infer In, unknown>
    ? In
    : I extends readonly (infer F)[]
      ? { readonly [K in F & keyof R]?: R[K] }
      : never

type LookupValue<R, L> = L extends { readonly field: infer F extends keyof R; readonly operator: infer O }
  ? O extends 'in' | 'nin'
    ? readonly NonNullable<R[F]>[]
    : O extends 'isNull'
      ? boolean
      : NonNullable<R[F]>
  : never

type Seen<R, Fields> = Fields extends readonly (infer F)[] ? Pick<R, F & keyof R> : R

type ActionTypes<A> = {
  readonly [K in keyof A]: A[K] extends { run(...args: never[]): infer Out }
    ? {
        readonly input: A[K] extends { readonly input: StandardSchema<infer In, unknown> } ? In : undefined
        readonly output: Awaited<Out>
        readonly record: A[K] extends { readonly record: true } ? true : false
      }
    : never
}

/** The compile-time view of a resource that a client gets from its options. */
export interface TypesOf<R, O> extends ResourceTypes {
  readonly row: Seen<R, Member<O, 'fields'>>
  readonly where: Omit<Where<Seen<R, Member<O, 'fields'>>>, keyof Member<O, 'lookups'>> &
    LookupsOf<R, Member<O, 'lookups'>>
  readonly create: InputOf<Member<Member<O, 'input'>, 'create'>, R>
  readonly update: InputOf<Member<Member<O, 'input'>, 'update'>, R>
  readonly params: Member<O, 'params'> extends readonly (infer P extends string)[] ? P : never
  readonly actions: ActionTypes<Member<O, 'ownActions'>>
}

type Member<O, K extends string> = O extends { readonly [P in K]: infer V } ? V : undefined
type LookupsOf<R, L> = L extends undefined
  ? unknown
  : {
      readonly [K in keyof L]?: LookupValue<R, L[K]> | (K extends keyof R ? null | Operators<NonNullable<R[K]>> : never)
    }

const NAME = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/

/**
 * Defines a resource.
 * @param name - what clients call it: a letter, then letters, digits, `_` or `-`, at most 64.
 * @throws TypeError if the name is not of that form.
 */
export function defineResource<
  const Name extends string,
  R extends Row,
  Create,
  Update,
  const O extends Omit<ResourceOptions<R, Create, Update>, 'store'>,
>(name: Name, options: O & { readonly store: Store<R, Create, Update> }): Resource<Name, TypesOf<R, O>> {
  if (!NAME.test(name))
    throw new TypeError(`resource name '${name}': expected a letter, then at most 63 letters, digits, '_' or '-'`)
  // The row type is kept for the client in `~types`; inside, every resource is one of plain rows.
  return { name, options: options as unknown as ResourceOptions<Row, unknown, unknown> }
}
