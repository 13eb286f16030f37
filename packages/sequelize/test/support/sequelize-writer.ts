import type { Thing as ThingRow, ThingWriter } from '@rtapi/testing'
import type { Transaction } from 'sequelize'
import type { TestDatabase } from './databases.ts'
import type { TestModels } from './models.ts'

/** Writes through models, within a transaction in that. */
export class SequelizeWriter implements ThingWriter {
  readonly database: TestDatabase
  /** The options with which a path takes part in the transaction. */
  readonly options: { readonly transaction?: Transaction }

  readonly #root: { readonly transaction?: Transaction }

  constructor(database: TestDatabase, transaction?: Transaction, root?: Transaction) {
    this.database = database
    this.options = transaction === undefined ? {} : { transaction }
    this.#root = root === undefined ? {} : { transaction: root }
  }

  get models(): TestModels {
    return this.database.models
  }

  async create(data: ThingRow): Promise<void> {
    await this.models.Thing.create({ ...data }, this.options)
  }

  async update(id: number, patch: Partial<ThingRow>): Promise<void> {
    const found = await this.models.Thing.findByPk(id, { ...this.options, rejectOnEmpty: true })
    await found.update({ ...patch }, this.options)
  }

  async remove(id: number): Promise<void> {
    const found = await this.models.Thing.findByPk(id, { ...this.options, rejectOnEmpty: true })
    await found.destroy(this.options)
  }

  /** All savepoints are children of the root, since Sequelize gives a grandchild the name of its parent. */
  async transaction<T>(work: (writer: this) => Promise<T>): Promise<T> {
    const { sequelize } = this.database
    return sequelize.transaction(this.#root, async (transaction) =>
      work(new SequelizeWriter(this.database, transaction, this.#root.transaction ?? transaction) as this),
    )
  }
}
