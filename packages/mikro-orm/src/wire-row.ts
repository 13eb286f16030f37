import type {
  Collection,
  Hidden,
  HiddenProps,
  Opt,
  PrimaryProperty,
  RequiredNullable,
  ScalarReference,
} from '@mikro-orm/core'
import type { Json, Row } from '@rtapi/core'

/** A reference to an entity, by the one method that matters to types. */
interface ReferenceLike<T> {
  unwrap(): T
}

/** A type without the marks that MikroORM puts on types, by which an enum would be no string any more. */
type Unmarked<T> = T extends (infer Bare) & Opt.Brand
  ? Bare extends (infer Barer) & RequiredNullable.Brand
    ? Barer
    : Bare
  : T

/** The value of a property as it travels: dates, big integers and bytes as text, objects as JSON. */
export type WireValue<T> = T extends null | undefined
  ? null
  : T extends Date | bigint | Uint8Array
    ? string
    : T extends string | number | boolean
      ? Unmarked<T>
      : T extends readonly (infer Item)[]
        ? readonly WireValue<Item>[]
        : keyof T extends never
          ? Json
          : T extends object
            ? {
                readonly [K in keyof T as K extends string ? (T[K] extends Method ? never : K) : never]: WireValue<T[K]>
              }
            : Json

type Method = (...args: never[]) => unknown

/** The key of an entity: one value, since composite keys do not travel as one field. */
type KeyOf<T> =
  PrimaryProperty<T> extends keyof T
    ? WireValue<Extract<NonNullable<T[PrimaryProperty<T>]>, string | number | bigint>>
    : never

/** The entity to which a property refers; `never` if it is no relation to one. */
type TargetOf<V> =
  V extends ReferenceLike<infer T>
    ? V extends ScalarReference<unknown>
      ? never
      : T
    : V extends Date | Uint8Array | readonly unknown[]
      ? never
      : V extends object
        ? [PrimaryProperty<V>] extends [never]
          ? never
          : V
        : never

type HiddenNames<E> = (E extends { [HiddenProps]?: infer Names } ? Names : never) | BrandedHidden<E>
type BrandedHidden<E> = {
  [K in keyof E]-?: unknown extends E[K] ? never : keyof Hidden.Brand extends keyof NonNullable<E[K]> ? K : never
}[keyof E]

type FieldName<E, K extends keyof E> = K extends string
  ? K extends HiddenNames<E>
    ? never
    : unknown extends E[K]
      ? K
      : NonNullable<E[K]> extends Method | Collection<object> | ScalarReference<unknown>
        ? never
        : [TargetOf<NonNullable<E[K]>>] extends [never]
          ? K
          : [KeyOf<TargetOf<NonNullable<E[K]>>>] extends [never]
            ? never
            : `${K}Id`
  : never

type FieldValue<V> = unknown extends V ? Json : KnownValue<V>

type KnownValue<V> =
  | ([TargetOf<NonNullable<V>>] extends [never] ? WireValue<NonNullable<V>> : KeyOf<TargetOf<NonNullable<V>>>)
  | (V extends null | undefined ? null : never)

type IsOptional<E, K extends keyof E> = [E] extends [Record<K, unknown>] ? false : true

/**
 * The row of an entity as it travels: each scalar property under its own name, each to-one relation as the key of its
 * target under the name of the property followed by `Id`. Collections, methods, lazy and hidden properties are left
 * out. Types do not tell which properties are not persistent or computed: name those as `exclude` of the store.
 */
export type WireRow<E> = {
  readonly [K in keyof E as FieldName<E, K>]-?: FieldValue<E[K]> | (IsOptional<E, K> extends true ? null : never)
}

/** The row of a store of an entity, without the fields that it leaves out. */
export type StoreRow<E, Excluded extends string = never> = {
  readonly [K in keyof WireRow<E> as Exclude<K, Excluded>]: WireRow<E>[K]
} extends infer R extends Row
  ? R
  : never

/** What a create or an update is given: fields in wire form, or as the entity holds them. */
export type WireData<R> = { readonly [F in keyof R]?: R[F] | Loose<NonNullable<R[F]>> | undefined }

/** Validators may have turned text into what it stands for. */
type Loose<V> = V extends string ? (string extends V ? Date | bigint | Uint8Array : never) : never
