import { DataTypes, type Model, type ModelStatic, Sequelize } from 'sequelize'
import { expect, test } from 'vitest'
import { Cascades } from '../src/cascades.ts'
import { nodeSqlite } from './support/node-sqlite.ts'

const sequelize = new Sequelize({ dialect: 'sqlite', dialectModule: nodeSqlite, storage: ':memory:', logging: false })
const define = (name: string, attributes: Parameters<Sequelize['define']>[1] = {}) =>
  sequelize.define(name, attributes, { timestamps: false })

const Root = define('Root')
const Kept = define('Kept')
const Restricted = define('Restricted')
const Loosened = define('Loosened')
const Owned = define('Owned')
const OwnedByOwned = define('OwnedByOwned')
const ByLoosened = define('ByLoosened')
Kept.belongsTo(Root, { constraints: false })
Restricted.belongsTo(Root, { onDelete: 'RESTRICT', onUpdate: 'RESTRICT' })
Loosened.belongsTo(Root, { onDelete: 'SET NULL' })
Owned.belongsTo(Root, { onDelete: 'CASCADE', onUpdate: 'NO ACTION' })
OwnedByOwned.belongsTo(Owned, { onDelete: 'cascade' })
ByLoosened.belongsTo(Loosened, { onDelete: 'CASCADE' })
Owned.hasOne(Root, { onDelete: 'CASCADE', foreignKey: 'ownedId' })
const Extension = define('Extension', {
  rootId: { type: DataTypes.INTEGER, primaryKey: true, references: { model: Root, key: 'id' }, onUpdate: 'CASCADE' },
})
const ByExtension = define('ByExtension', {
  extensionId: { type: DataTypes.INTEGER, references: { model: 'Extensions', key: 'rootId' }, onUpdate: 'CASCADE' },
})

const cascades = new Cascades(Object.values(sequelize.models))
const names = (models: readonly ModelStatic<Model>[]) => models.map(({ name }) => name).toSorted()

test('a deletion goes from child to child, also in a circle, but not through what is only let go of', () => {
  expect(names(cascades.onDelete(Root))).toEqual(['Loosened', 'Owned', 'OwnedByOwned', 'Root'])
  expect(names(cascades.onDelete(Owned))).toEqual(['Loosened', 'Owned', 'OwnedByOwned', 'Root'])
  expect(names(cascades.onDelete(Kept))).toEqual([])
})

test('emptying a table with all that refers to it asks for no rules', () => {
  expect(names(cascades.onDelete(Loosened, true))).toEqual(['ByLoosened'])
  expect(names(cascades.onDelete(Extension))).toEqual([])
  expect(names(cascades.onDelete(Extension, true))).toEqual([ByExtension.name])
})

test('a changed key goes on where it is part of a key', () => {
  expect(names(cascades.onKeyChange(Root))).toEqual(['ByExtension', 'Extension', 'Loosened'])
  expect(names(cascades.onKeyChange(Owned))).toEqual(['OwnedByOwned', 'Root'])
})
