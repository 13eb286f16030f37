/**
 * The filter language. A `Where` is what people write and clients send; a `Filter` is its checked, normal form, which
 * stores compile into their query and which `matches` evaluates in memory. Both must mean the same: a difference would
 * be a row that enters or leaves a view by mistake.
 */
import type { FieldType, Json, Scalar } from './value.ts'

/**
 * What one comparison asks. Logic is two-valued, null is a value like any other: `ne` and `nin` are the exact opposites
 * of `eq` and `in` and so match null; `lt`, `lte`, `gt`, `gte` and `startsWith` never match null.
 */
export type Operator = 'eq' | 'ne' | 'in' | 'nin' | 'lt' | 'lte' | 'gt' | 'gte' | 'startsWith' | 'isNull'

/**
 * A checked filter. Values are in canonical wire form. `eq` and `ne` never hold null (that is `isNull`), nor does the
 * list of `in` and `nin`.
 * There is no `not`: every comparison has an opposite. That of `startsWith` cannot be written by people; it arises
 * where a permission is negated.
 */
export type Filter =
  | { readonly type: 'const'; readonly value: boolean }
  | { readonly type: 'and'; readonly filters: readonly Filter[] }
  | { readonly type: 'or'; readonly filters: readonly Filter[] }
  | Comparison

export type Comparison =
  | {
      readonly type: 'compare'
      readonly field: string
      readonly operator: 'eq' | 'ne' | 'lt' | 'lte' | 'gt' | 'gte'
      readonly value: Exclude<Scalar, null>
    }
  | {
      readonly type: 'compare'
      readonly field: string
      readonly operator: 'in' | 'nin'
      readonly value: readonly Exclude<Scalar, null>[]
    }
  | { readonly type: 'compare'; readonly field: string; readonly operator: 'isNull'; readonly value: boolean }
  /**
   * `ignoreCase` folds the letters A–Z alone, the one folding which all databases share. `notStartsWith` is the exact
   * opposite of `startsWith` and so matches null.
   */
  | {
      readonly type: 'compare'
      readonly field: string
      readonly operator: 'startsWith' | 'notStartsWith'
      readonly value: string
      readonly ignoreCase: boolean
    }

/** Operators on one field, joined by and. */
export interface Operators<T> {
  readonly eq?: T | null
  readonly ne?: T | null
  readonly in?: readonly T[]
  readonly nin?: readonly T[]
  readonly lt?: T
  readonly lte?: T
  readonly gt?: T
  readonly gte?: T
  readonly startsWith?: T extends string ? string | { readonly value: string; readonly ignoreCase: boolean } : never
  readonly isNull?: boolean
}

/** A filter as people write it: fields joined by and; a bare value is equality; `and` and `or` take arrays. */
export type Where<R = Readonly<Record<string, Json>>> = {
  readonly [F in keyof R]?: NonNullable<R[F]> | null | Operators<NonNullable<R[F]>>
} & {
  readonly and?: readonly Where<R>[]
  readonly or?: readonly Where<R>[]
}

/** The type of each field that a filter may name. */
export type FieldTypes = Readonly<Record<string, FieldType>>

export const everything: Filter = { type: 'const', value: true }
export const nothing: Filter = { type: 'const', value: false }
