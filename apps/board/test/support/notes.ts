import { MikroORM, NodeSqliteDialect, type Options, SqliteDriver, defineEntity, p } from '@mikro-orm/sql'
import type { ChangeSource, Report, Store } from '@rtapi/core'
import { type OutboxControl, type OutboxOptions, rtapiMikroOrm } from '@rtapi/mikro-orm'
import { rtapiSequelize } from '@rtapi/sequelize'
import { DataTypes, QueryTypes, Sequelize } from 'sequelize'

/** Where notes are kept, and by which ORM. */
export interface NotesAddress {
  readonly orm: 'mikro-orm' | 'sequelize'
  readonly database: 'sqlite' | 'postgres' | 'mariadb'
  /** With the name of the database, or the path of a file. */
  readonly url: string
}

/** One table of notes, written and watched through an ORM. */
export interface Notes {
  readonly store: Store
  readonly changes: ChangeSource
  readonly outbox: OutboxControl | undefined
  /** Creates the table. */
  create(): Promise<void>
  /** Sends SQL past rtapi; answers rows. */
  sql(text: string): Promise<readonly Readonly<Record<string, unknown>>[]>
  /** In a transaction of its own, which is committed when `meanwhile` is done. */
  write(id: number, text: string, meanwhile?: () => Promise<void>): Promise<void>
  /** By one statement outside of any transaction. */
  writeAlone(id: number, text: string): Promise<void>
  close(): Promise<void>
}

/** Opens the notes of an ORM on a database. */
export function openNotes(
  address: NotesAddress,
  options: { readonly report: Report; readonly outbox: boolean | OutboxOptions },
): Promise<Notes> {
  return address.orm === 'mikro-orm' ? openByMikroOrm(address, options) : openBySequelize(address, options)
}

type OpenOptions = Parameters<typeof openNotes>[1]

const Note = defineEntity({
  name: 'Note',
  tableName: 'note',
  properties: { id: p.integer().primary(), text: p.string().length(200) },
})

async function openByMikroOrm(address: NotesAddress, options: OpenOptions): Promise<Notes> {
  const orm = await MikroORM.init({ entities: [Note], ...(await connectionOf(address)) })
  if (address.database === 'sqlite') {
    for (const pragma of ['busy_timeout = 5000', 'journal_mode = wal']) await orm.em.execute(`pragma ${pragma}`)
  }
  const live = rtapiMikroOrm(orm, options)
  return {
    store: live.store(Note),
    changes: live.changes(),
    outbox: live.outbox,
    create: () => orm.schema.create(),
    sql: (text) => orm.em.getConnection().execute(text),
    async write(id, text, meanwhile) {
      await orm.em.fork().transactional(async (em) => {
        const note = await em.findOne(Note, id)
        if (note === null) em.create(Note, { id, text })
        else note.text = text
        await em.flush()
        await meanwhile?.()
      })
    },
    async writeAlone(id, text) {
      await orm.em.fork().nativeUpdate(Note, { id }, { text })
    },
    async close() {
      live.stop()
      await orm.close()
    },
  }
}

async function connectionOf({ database, url }: NotesAddress): Promise<Options> {
  if (database === 'sqlite') return { driver: SqliteDriver, dbName: url, driverOptions: new NodeSqliteDialect(url) }
  if (database === 'postgres') {
    return { driver: (await import('@mikro-orm/postgresql')).PostgreSqlDriver, clientUrl: url }
  }
  return { driver: (await import('@mikro-orm/mariadb')).MariaDbDriver, clientUrl: url }
}

async function openBySequelize({ url, database }: NotesAddress, options: OpenOptions): Promise<Notes> {
  const sequelize = new Sequelize(url, { dialect: database, logging: false })
  const live = rtapiSequelize(sequelize, options)
  const model = sequelize.define(
    'Note',
    {
      id: { type: DataTypes.INTEGER, primaryKey: true },
      text: { type: DataTypes.STRING(200), allowNull: false },
    },
    { tableName: 'note', timestamps: false },
  )
  return {
    store: live.store(model),
    changes: live.changes(),
    outbox: live.outbox,
    create: async () => void (await model.sync()),
    async sql(text) {
      if (text.startsWith('select')) return sequelize.query(text, { type: QueryTypes.SELECT })
      await sequelize.query(text)
      return []
    },
    async write(id, text, meanwhile) {
      await sequelize.transaction(async (transaction) => {
        const note = await model.findByPk(id, { transaction })
        if (note === null) await model.create({ id, text }, { transaction })
        else await note.update({ text }, { transaction })
        await meanwhile?.()
      })
    },
    writeAlone: async (id, text) => void (await model.update({ text }, { where: { id } })),
    async close() {
      live.stop()
      await sequelize.close()
    },
  }
}
