import {
  type ChangeSource,
  type Filter,
  type Key,
  type Query,
  type Row,
  type Store,
  type StoreDescription,
  type WriteResult,
  RtapiError,
} from '@rtapi/core'
import {
  type Column,
  type Sql,
  always,
  filterSql,
  join,
  keySql,
  postgresDialect as dialect,
  renderSql,
} from '@rtapi/sql'
import type { Pool } from 'pg'
import { transactionId } from '../../src/index.ts'

/** The table of `NoteStore`. */
export const noteTable = 'create table notes (id integer primary key, topic_id integer not null, text text not null)'

const columns: Readonly<Record<string, Column>> = {
  id: { sql: 'n.id', type: 'integer', nullable: false, declared: 'integer' },
  topicId: { sql: 'n.topic_id', type: 'integer', nullable: false, declared: 'integer' },
  text: { sql: 'n.text', type: 'string', nullable: false, declared: 'text' },
}
const idColumn = { sql: 'n.id', type: 'integer', nullable: false, declared: 'integer' } as const
const SHOWN = 'n.id, n.topic_id as "topicId", n.text, pg_current_xact_id_if_assigned()::text as tx'

/** Notes in PostgreSQL, written without an ORM. What it writes itself it can also announce at once, as an ORM's source does. */
export class NoteStore implements Store {
  readonly entity = 'Note'
  readonly #pool: Pool
  #emit: Parameters<ChangeSource['start']>[0] = () => undefined

  constructor(pool: Pool) {
    this.#pool = pool
  }

  /** Announces what is written through this store, under the name that PostgreSQL has for the transaction. */
  changes(): ChangeSource {
    return { start: (emit) => void (this.#emit = emit), stop: () => void (this.#emit = () => undefined) }
  }

  describe(): StoreDescription {
    const fields = Object.entries(columns).map(([name, { type, nullable }]) => [name, { type, nullable }] as const)
    return { key: ['id'], fields: Object.fromEntries(fields) }
  }

  async read(keys: readonly Key[]): Promise<readonly Row[]> {
    return this.#select(keySql(keys, [idColumn], dialect), [], undefined)
  }

  async find({ where, order, limit }: Query): Promise<readonly Row[]> {
    return this.#select(this.#compile(where), order, limit)
  }

  async create({ id, topicId, text }: Row): Promise<WriteResult> {
    const result = await this.#write('create', {
      text: `insert into notes as n (id, topic_id, text) values (?, ?, ?) returning ${SHOWN}`,
      params: [id, topicId, text],
    })
    if (result === null) throw new Error('nothing was inserted')
    return result
  }

  async update(key: Key, patch: Row, where: Filter): Promise<WriteResult | null> {
    const matching = join('and', [keySql([key], [idColumn], dialect), this.#compile(where)])
    return this.#write('update', {
      text: `update notes n set topic_id = coalesce(?, topic_id), text = coalesce(?, text) where ${matching.text} returning ${SHOWN}`,
      params: [patch['topicId'], patch['text'], ...matching.params],
    })
  }

  async delete(key: Key, where: Filter): Promise<WriteResult | null> {
    const matching = join('and', [keySql([key], [idColumn], dialect), this.#compile(where)])
    return this.#write('delete', {
      text: `delete from notes n where ${matching.text} returning ${SHOWN}`,
      params: matching.params,
    })
  }

  #compile(where: Filter): Sql {
    return where.type === 'const' && where.value ? always : filterSql(where, dialect, (field) => columns[field])
  }

  async #select(where: Sql, order: Query['order'], limit: number | undefined): Promise<readonly Row[]> {
    const terms = order.map(([field, direction]) => `${columns[field]?.sql ?? ''} ${direction}`)
    const sorted = terms.length === 0 ? '' : ` order by ${terms.join(', ')}`
    const rows = await this.#run({
      text: `select ${SHOWN} from notes n where ${where.text}${sorted}${limit === undefined ? '' : ` limit ${limit}`}`,
      params: where.params,
    })
    return rows.map(({ row }) => row)
  }

  async #write(action: 'create' | 'update' | 'delete', statement: Sql): Promise<WriteResult | null> {
    const [written] = await this.#run(statement)
    if (written === undefined) return null
    const { row, xid } = written
    const tx = transactionId(xid ?? '0')
    const { id } = row
    if (typeof id !== 'number') throw new Error('a note without id')
    this.#emit({ tx, changes: [{ type: 'change', entity: 'Note', key: id, action }] })
    return { row, tx }
  }

  async #run(statement: Sql): Promise<readonly { readonly row: Row; readonly xid: string | null }[]> {
    const params = statement.params.map((param) => param ?? null)
    try {
      const { rows } = await this.#pool.query<{ id: number; topicId: number; text: string; tx: string | null }>(
        renderSql(statement, (_, i) => `$${i + 1}`),
        params,
      )
      return rows.map(({ tx: xid, ...row }) => ({ row, xid }))
    } catch (error) {
      throw new RtapiError('unavailable', 'The database did not answer.', { cause: error })
    }
  }
}
