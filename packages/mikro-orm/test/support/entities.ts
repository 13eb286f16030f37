import { defineEntity, p } from '@mikro-orm/core'

/** The record on which the conformance suites try a store, with what else the paths of writing need. */
export const Thing = defineEntity({
  name: 'Thing',
  tableName: 'things',
  properties: {
    id: p.integer().primary(),
    text: p.string().length(200),
    weight: p.double().nullable(),
    quantity: p.integer().nullable(),
    price: p.decimal().precision(20).scale(6).nullable(),
    total: p.bigint().nullable(),
    happenedAt: p.datetime(3).nullable(),
    done: p.boolean(),
    owner: p.string().length(100).nullable(),
    code: p.string().length(64).unique().nullable(),
    version: p.integer(),
  },
})

export const entities = [Thing]
