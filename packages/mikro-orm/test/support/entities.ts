import { Cascade, defineEntity, p } from '@mikro-orm/core'

/** The record on which the conformance suites try a store and a change source. */
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

/** With its items the database deletes, with its notes it lets go of. */
export const Shelf = defineEntity({ name: 'Shelf', properties: { id: p.integer().primary(), name: p.string() } })

export const Item = defineEntity({
  name: 'Item',
  properties: {
    id: p.integer().primary(),
    shelf: () => p.manyToOne(Shelf).deleteRule('cascade').updateRule('cascade'),
  },
})

export const Note = defineEntity({
  name: 'Note',
  properties: { id: p.integer().primary(), shelf: () => p.manyToOne(Shelf).nullable().deleteRule('set null') },
})

/** Its pages are deleted by MikroORM, with it or when they are taken out. */
export const Folder = defineEntity({
  name: 'Folder',
  properties: {
    id: p.integer().primary(),
    pages: () => p.oneToMany(Page).mappedBy('folder').orphanRemoval().cascade(Cascade.ALL),
  },
})

export const Page = defineEntity({
  name: 'Page',
  properties: { id: p.integer().primary(), folder: () => p.manyToOne(Folder) },
})

/** Many-to-many, from either side. */
export const Box = defineEntity({
  name: 'Box',
  properties: { id: p.integer().primary(), labels: () => p.manyToMany(Label).inversedBy('boxes') },
})

export const Label = defineEntity({
  name: 'Label',
  properties: { id: p.integer().primary(), boxes: () => p.manyToMany(Box).mappedBy('labels') },
})

/** Deleted softly: it is gone where its filter is on, as it is by default. */
export const Draft = defineEntity({
  name: 'Draft',
  properties: { id: p.integer().primary(), text: p.string(), deletedAt: p.datetime(3).nullable() },
  filters: { present: { name: 'present', cond: { deletedAt: null }, default: true } },
})

/** Two classes in one table, and a key of two columns, of which one is a relation. */
export const Person = defineEntity({
  name: 'Person',
  discriminatorColumn: 'kind',
  discriminatorValue: 'person',
  properties: { id: p.integer().primary(), name: p.string(), kind: p.string() },
})

export const Employee = defineEntity({
  name: 'Employee',
  extends: Person,
  discriminatorValue: 'employee',
  properties: { salary: p.integer().nullable(), boss: () => p.manyToOne(Person).nullable() },
})

export const Seat = defineEntity({
  name: 'Seat',
  primaryKeys: ['shelf', 'number'],
  properties: { shelf: () => p.manyToOne(Shelf).primary(), number: p.integer().primary(), taken: p.boolean() },
})

export const entities = [Thing, Shelf, Item, Note, Folder, Page, Box, Label, Draft, Person, Employee, Seat]

/** All tables, those first which refer to others. */
export const tables = 'box_labels seat item note page folder shelf box label draft person things'.split(' ')
