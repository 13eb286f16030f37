import { setImmediate as turn } from 'node:timers/promises'
import { type ChangeSource, type Store, compileFilter } from '@rtapi/core'

export interface BulkRow {
  readonly [field: string]: string | number
  readonly id: number
  readonly topicId: number
  readonly round: number
  readonly text: string
}

const types = { id: 'integer', topicId: 'integer', round: 'integer', text: 'string' } as const
type Emit = Parameters<ChangeSource['start']>[0]

/**
 * Rows in an array, in the order of their keys: as little work as a store can do. It answers one query in each turn of
 * the event loop, as a connection to a database does at best.
 */
export class BulkStore implements Store<BulkRow>, ChangeSource {
  readonly entity = 'Item'
  #rows: readonly BulkRow[]
  #emit: Emit = () => undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(rows: readonly BulkRow[]) {
    this.#rows = rows
  }

  describe(): ReturnType<Store['describe']> {
    const fields = Object.entries(types).map(([name, type]) => [name, { type, nullable: false }] as const)
    return { key: ['id'], fields: Object.fromEntries(fields) }
  }

  read(keys: Parameters<Store['read']>[0]): Promise<readonly BulkRow[]> {
    return Promise.resolve(keys.flatMap((key) => this.#rows[Number(key) - 1] ?? []))
  }

  find({ where, limit }: Parameters<Store['find']>[0]): Promise<readonly BulkRow[]> {
    const answer = this.#last.then(async () => {
      await turn()
      return this.#rows.filter(compileFilter(where, types)).slice(0, limit)
    })
    this.#last = answer
    return answer
  }

  create(): never {
    throw new Error('nobody creates rows here')
  }

  update(): never {
    throw new Error('clients write nothing here')
  }

  delete(): never {
    throw new Error('nobody deletes rows here')
  }

  start(emit: Emit): void {
    this.#emit = emit
  }

  stop(): void {
    this.#emit = () => undefined
  }

  /** Changes these rows, and announces them one by one or, as one statement would be, without their keys. */
  change(ids: readonly number[], round: number, exactly: boolean): void {
    const rows = [...this.#rows]
    for (const id of ids) {
      const row = rows[id - 1]
      if (row !== undefined) rows[id - 1] = { ...row, round }
    }
    this.#rows = rows
    const { entity } = this
    this.#emit({
      tx: `t${round}-${ids[0] ?? 0}`,
      changes: exactly
        ? ids.map((key) => ({ type: 'change', entity, key, action: 'update', after: rows[key - 1] ?? {} }))
        : [{ type: 'coarse', entity }],
    })
  }
}
