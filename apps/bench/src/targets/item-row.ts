import type { Item } from '../workload.ts'

/** An item as the API has it. */
export type ItemRow = { readonly [K in keyof Item]: Item[K] }

/** The types of its fields. */
export const itemFields = {
  id: 'integer',
  topic: 'integer',
  price: 'integer',
  title: 'string',
  author: 'string',
  text: 'string',
  revision: 'integer',
  at: 'integer',
} as const
