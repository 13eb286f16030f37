import type { FieldDescription, Row } from '@rtapi/core'

/** The record on which stores and change sources are tried. */
export type Thing = {
  readonly id: number
  readonly text: string
  readonly weight: number | null
  readonly quantity: number | null
  readonly price: string | null
  readonly total: string | null
  readonly happenedAt: string | null
  readonly done: boolean
  readonly owner: string | null
  readonly code: string | null
  readonly version: number
}

/**
 * The entity `things`, as the database under test is to have it. The key `id` is given by the data and may also be
 * generated; `code` is unique (null is not); `version` is a plain number, which nobody counts up.
 */
export const thingFields: Readonly<Record<keyof Thing, FieldDescription>> = {
  id: { type: 'integer', nullable: false },
  /** Up to 200 characters. */
  text: { type: 'string', nullable: false },
  /** A double. */
  weight: { type: 'number', nullable: true },
  /** 32 bits. */
  quantity: { type: 'integer', nullable: true },
  /** 20 digits, 6 of them behind the point. */
  price: { type: 'decimal', nullable: true },
  /** 64 bits. */
  total: { type: 'bigint', nullable: true },
  /** To the millisecond. */
  happenedAt: { type: 'date', nullable: true },
  done: { type: 'boolean', nullable: false },
  owner: { type: 'string', nullable: true },
  /** Unique, up to 64 characters. */
  code: { type: 'string', nullable: true },
  version: { type: 'integer', nullable: false },
}

/** A thing with these fields, the others null, empty or false. */
export function thing(fields: Partial<Thing> & { readonly id: number }): Thing & Row {
  return {
    text: '',
    weight: null,
    quantity: null,
    price: null,
    total: null,
    happenedAt: null,
    done: false,
    owner: null,
    code: null,
    version: 1,
    ...fields,
  }
}
