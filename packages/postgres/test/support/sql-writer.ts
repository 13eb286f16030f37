import type { Thing, ThingWriter } from '@rtapi/testing'
import type { Pool, PoolClient } from 'pg'

/** The tables of the suite, with what hangs on them. */
export const ddl = `
create table things (
  id integer primary key, text varchar(200) not null, weight double precision, quantity integer, price numeric(20, 6),
  total bigint, "happenedAt" timestamptz(3), done boolean not null, owner text, code varchar(64) unique,
  version integer not null
);
create table shelf (id integer primary key, name text not null);
create table item (id integer primary key, shelf_id integer not null references shelf on delete cascade deferrable);
create table note (id integer primary key, shelf_id integer references shelf on delete set null on update cascade);
create table box (id integer primary key);
create table label (id integer primary key);
create table box_labels (
  box_id integer references box on delete cascade, label_id integer references label on delete cascade,
  primary key (box_id, label_id)
);
create table draft (id integer primary key, deleted_at timestamptz);
`

/** Writes things with plain SQL. */
export class SqlWriter implements ThingWriter {
  readonly #pool: Pool
  readonly #client: PoolClient | undefined
  readonly #depth: number

  constructor(pool: Pool, client?: PoolClient, depth = 0) {
    this.#pool = pool
    this.#client = client
    this.#depth = depth
  }

  async query(sql: string, values: readonly unknown[] = []): Promise<void> {
    await (this.#client ?? this.#pool).query(sql, [...values])
  }

  async create(data: Thing): Promise<void> {
    const columns = Object.keys(data)
    const places = columns.map((_, i) => `$${i + 1}`)
    const names = columns.map((name) => `"${name}"`)
    await this.query(`insert into things (${names.join(', ')}) values (${places.join(', ')})`, Object.values(data))
  }

  async update(id: number, patch: Partial<Thing>): Promise<void> {
    const sets = Object.keys(patch).map((name, i) => `"${name}" = $${i + 2}`)
    await this.query(`update things set ${sets.join(', ')} where id = $1`, [id, ...Object.values(patch)])
  }

  async remove(id: number): Promise<void> {
    await this.query('delete from things where id = $1', [id])
  }

  async transaction<T>(work: (writer: this) => Promise<T>): Promise<T> {
    if (this.#client !== undefined) return this.#savepoint(this.#client, work)
    const client = await this.#pool.connect()
    try {
      await client.query('begin')
      const result = await work(this.#inside(client, 1))
      await client.query('commit')
      return result
    } catch (error) {
      await client.query('rollback')
      throw error
    } finally {
      client.release()
    }
  }

  async #savepoint<T>(client: PoolClient, work: (writer: this) => Promise<T>): Promise<T> {
    const name = `s${this.#depth}`
    await client.query(`savepoint ${name}`)
    try {
      const result = await work(this.#inside(client, this.#depth + 1))
      await client.query(`release savepoint ${name}`)
      return result
    } catch (error) {
      await client.query(`rollback to savepoint ${name}`)
      throw error
    }
  }

  /** Nobody derives from this class, so that this is what `this` is. */
  #inside(client: PoolClient, depth: number): this {
    return new SqlWriter(this.#pool, client, depth) as this
  }
}
