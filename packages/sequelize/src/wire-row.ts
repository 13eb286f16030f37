import type { Json, Row } from '@rtapi/core'
import type { Attributes, CreationOptional, ForeignKey, Model } from 'sequelize'

/** The value of an attribute as it travels: dates, big integers and bytes as text, objects as JSON. */
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
            ? { readonly [K in keyof T as K extends string ? K : never]: WireValue<T[K]> }
            : Json

/** The marks that Sequelize puts on types, by which a union of literals would be none any more. */
type CreationMark = Pick<CreationOptional<object>, keyof CreationOptional<object>>
type ForeignKeyMark = Pick<ForeignKey<object>, keyof ForeignKey<object>>

type Unmarked<T> = T extends (infer Bare) & CreationMark
  ? Bare extends (infer Barer) & ForeignKeyMark
    ? Barer
    : Bare
  : T extends (infer Bare) & ForeignKeyMark
    ? Bare
    : T

type IsAny<T> = 0 extends 1 & T ? true : false

/** Attributes as they travel; each may be null if its type says so. */
export type WireRow<A> = {
  readonly [K in keyof A as K extends string ? K : never]-?: IsAny<A[K]> extends true
    ? Json
    : WireValue<NonNullable<A[K]>> | (A[K] extends NonNullable<A[K]> ? never : null)
}

/** The row of a store of a model, without the fields that it leaves out. Models without typed attributes have any. */
export type StoreRow<M extends Model, Excluded extends string = never> =
  IsAny<Attributes<M>> extends true
    ? Row
    : {
          readonly [K in keyof WireRow<Attributes<M>> as Exclude<K, Excluded>]: WireRow<Attributes<M>>[K]
        } extends infer R extends Row
      ? R
      : never

/** What a create or an update is given: fields in wire form, or as the model holds them. */
export type WireData<R> = { readonly [F in keyof R]?: R[F] | Loose<NonNullable<R[F]>> | undefined }

/** Validators may have turned text into what it stands for. */
type Loose<V> = V extends string ? (string extends V ? Date | bigint | Uint8Array : never) : never
