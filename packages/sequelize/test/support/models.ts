import { DataTypes, type Model, type ModelStatic, type Sequelize } from 'sequelize'

/** The models on which stores and captures are tried. */
export interface TestModels {
  /** The record on which the conformance suites try a store and a change source. */
  readonly Thing: ModelStatic<Model>
  /** With its items the database deletes, with its notes it lets go of. */
  readonly Shelf: ModelStatic<Model>
  readonly Item: ModelStatic<Model>
  /** With its shelf and its item the database deletes it. */
  readonly Mark: ModelStatic<Model>
  readonly Note: ModelStatic<Model>
  /** Its pages are deleted by Sequelize, one by one. */
  readonly Folder: ModelStatic<Model>
  readonly Page: ModelStatic<Model>
  /** Many-to-many, from either side. */
  readonly Box: ModelStatic<Model>
  readonly Label: ModelStatic<Model>
  readonly BoxLabel: ModelStatic<Model>
  /** Deleted softly. */
  readonly Draft: ModelStatic<Model>
  /** Sequelize counts its versions. */
  readonly Counted: ModelStatic<Model>
  /** Only the open ones are in its scope, and its secret is not. */
  readonly Ticket: ModelStatic<Model>
  /** A field of each kind that the things lack. Its key is text. */
  readonly Sample: ModelStatic<Model>
}

const key = { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true }

export function defineModels(sequelize: Sequelize): TestModels {
  const options = { timestamps: false, freezeTableName: true }
  const define = (name: string, attributes: Parameters<Sequelize['define']>[1], more: object = {}) =>
    sequelize.define(name, attributes, { ...options, tableName: name.toLowerCase(), ...more })

  const Thing = define(
    'Thing',
    {
      id: key,
      text: { type: DataTypes.STRING(200), allowNull: false },
      weight: DataTypes.DOUBLE,
      quantity: DataTypes.INTEGER,
      price: DataTypes.DECIMAL(20, 6),
      total: DataTypes.BIGINT,
      happenedAt: { type: DataTypes.DATE(3), field: 'happened_at' },
      done: { type: DataTypes.BOOLEAN, allowNull: false },
      owner: DataTypes.STRING(100),
      code: { type: DataTypes.STRING(64), unique: true },
      version: { type: DataTypes.INTEGER, allowNull: false },
    },
    { tableName: 'things' },
  )
  const Shelf = define('Shelf', { id: key, name: DataTypes.STRING })
  const Item = define('Item', { id: key })
  const Mark = define('Mark', { id: key })
  const Note = define('Note', { id: key, text: DataTypes.STRING })
  Item.belongsTo(Shelf, { foreignKey: { name: 'shelfId', field: 'shelf_id' }, onDelete: 'CASCADE' })
  Shelf.hasMany(Item, { foreignKey: { name: 'shelfId', field: 'shelf_id' }, onDelete: 'CASCADE' })
  Mark.belongsTo(Item, { foreignKey: 'itemId', onDelete: 'CASCADE' })
  Note.belongsTo(Shelf, { foreignKey: 'shelfId', onDelete: 'SET NULL' })
  Shelf.hasMany(Note, { foreignKey: 'shelfId', onDelete: 'SET NULL' })

  const Folder = define('Folder', { id: key })
  const Page = define('Page', { id: key })
  Folder.hasMany(Page, { foreignKey: 'folderId', onDelete: 'CASCADE', hooks: true })
  Page.belongsTo(Folder, { foreignKey: 'folderId' })

  const Box = define('Box', { id: key })
  const Label = define('Label', { id: key })
  const BoxLabel = define('BoxLabel', { note: DataTypes.STRING }, { tableName: 'box_labels' })
  Box.belongsToMany(Label, { through: BoxLabel, foreignKey: 'boxId', otherKey: 'labelId' })
  Label.belongsToMany(Box, { through: BoxLabel, foreignKey: 'labelId', otherKey: 'boxId' })

  const Draft = define('Draft', { id: key, text: DataTypes.STRING }, { timestamps: true, paranoid: true })
  const Counted = define('Counted', { id: key, text: DataTypes.STRING }, { version: true })
  const Ticket = define(
    'Ticket',
    { id: key, state: DataTypes.STRING, owner: DataTypes.STRING, secret: DataTypes.STRING },
    {
      defaultScope: {
        where: { state: 'open' },
        attributes: { exclude: ['secret'] },
        order: [['owner', 'ASC']],
        limit: 3,
      },
    },
  )
  const isPostgres = sequelize.getDialect() === 'postgres'
  const Sample = define('Sample', {
    name: { type: DataTypes.STRING(40), primaryKey: true },
    uuid: DataTypes.UUID,
    day: DataTypes.DATEONLY,
    time: DataTypes.TIME,
    letters: DataTypes.CHAR(3),
    state: DataTypes.ENUM('open', 'Doing', 'done'),
    small: DataTypes.SMALLINT,
    real: DataTypes.REAL,
    instant: DataTypes.DATE(6),
    memo: DataTypes.TEXT,
    flag: DataTypes.BOOLEAN,
    data: DataTypes.JSON,
    bytes: DataTypes.BLOB,
    list: isPostgres ? DataTypes.ARRAY(DataTypes.INTEGER) : DataTypes.JSON,
    shout: {
      type: DataTypes.STRING,
      get(this: Model): string {
        return `${String(this.getDataValue('shout'))}!`
      },
    },
    mail: { type: DataTypes.STRING, validate: { isEmail: true } },
    twice: {
      type: DataTypes.VIRTUAL,
      get(this: Model): number {
        return 2 * Number(this.getDataValue('small'))
      },
    },
  })
  Sample.belongsTo(Shelf, { foreignKey: 'shelfId' })
  return { Thing, Shelf, Item, Mark, Note, Folder, Page, Box, Label, BoxLabel, Draft, Counted, Ticket, Sample }
}
