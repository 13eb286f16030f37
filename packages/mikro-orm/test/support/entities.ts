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

/** With its shelf and its item the database deletes it. */
const Mark = defineEntity({
  name: 'Mark',
  properties: { id: p.integer().primary(), item: () => p.manyToOne(Item).deleteRule('cascade') },
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
  properties: { id: p.integer().primary(), name: p.string(), kind: p.string().default('person') },
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

const Place = defineEntity({
  name: 'Place',
  embeddable: true,
  properties: { city: p.string(), zipCode: p.string().nullable(), since: p.datetime(3).nullable() },
})

/** A field of each kind that the things lack. Its key is text, to which databases like to be lenient. */
export const Sample = defineEntity({
  name: 'Sample',
  properties: {
    name: p.string().length(40).primary(),
    uuid: p.uuid().nullable(),
    day: p.date().nullable(),
    time: p.time().nullable(),
    letters: p.character().length(3).nullable(),
    state: p.enum(['open', 'Doing', 'done']).nullable(),
    level: p.enum([1, 2, 30]).nullable(),
    small: p.smallint().nullable(),
    real: p.float().nullable(),
    rate: p.decimal('number').precision(12).scale(4).nullable(),
    count: p.bigint('number').nullable(),
    ticks: p.bigint('string').nullable(),
    instant: p.datetime().nullable(),
    memo: p.text().nullable(),
    flag: p.boolean().nullable(),
    data: p.json<object>().nullable(),
    bytes: p.blob().nullable(),
    place: () => p.embedded(Place).nullable(),
    home: () => p.embedded(Place).object().nullable(),
    shelf: () => p.manyToOne(Shelf).nullable(),
    secret: p.string().hidden().nullable(),
    lazy: p.text().lazy().nullable(),
    passing: p.string().persist(false).nullable(),
    twice: p.integer().formula((columns) => `${columns.small} * 2`),
    revision: p.integer().version(),
  },
})

/** What depends on it in the database is announced by name. */
export const Rack = defineEntity({ name: 'Rack', properties: { id: p.integer().primary(), name: p.string() } })

export const Slot = defineEntity({
  name: 'Slot',
  properties: { id: p.integer().primary(), rack: () => p.manyToOne(Rack).deleteRule('cascade').updateRule('cascade') },
})

export const Pin = defineEntity({
  name: 'Pin',
  properties: { id: p.integer().primary(), slot: () => p.manyToOne(Slot).deleteRule('cascade') },
})

export const Peg = defineEntity({
  name: 'Peg',
  properties: { id: p.integer().primary(), rack: () => p.manyToOne(Rack).nullable().deleteRule('set null') },
})

/** The entities of which each record is named that the database deletes or changes by itself. */
export const namedDependents = ['Slot', 'Pin', 'Peg']

/** Many-to-many by an entity of the application's own. */
export const Crate = defineEntity({
  name: 'Crate',
  properties: { id: p.integer().primary(), labels: () => p.manyToMany(Label).pivotEntity(() => Tag) },
})

export const Tag = defineEntity({
  name: 'Tag',
  properties: {
    crate: () => p.manyToOne(Crate).primary(),
    label: () => p.manyToOne(Label).primary(),
    note: p.string().default(''),
  },
})

export const entities = [
  Thing,
  Shelf,
  Item,
  Mark,
  Note,
  Folder,
  Page,
  Box,
  Label,
  Draft,
  Person,
  Employee,
  Seat,
  Place,
  Sample,
  Rack,
  Slot,
  Pin,
  Peg,
  Crate,
  Tag,
]

/** All tables, those first which refer to others. */
export const tables =
  'tag crate pin peg slot rack box_labels sample seat mark item note page folder shelf box label draft person things'.split(
    ' ',
  )
