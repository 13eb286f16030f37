import type { Pgoutput } from 'pg-logical-replication'
import type { EntryTypes } from './column-types.ts'
import { type LiveTable, tableId } from './live-table.ts'
import { LogRelation } from './log-relation.ts'
import { parseLsn } from './lsn.ts'
import type { LogMessage } from './raw-pgoutput.ts'
import { NEW_SLOT } from './replication-sql.ts'
import { TransactionChanges } from './transaction-changes.ts'

/** What is needed to understand the log. */
export interface LogContext {
  readonly slot: string
  readonly coarseKeys: number
  /** The described tables by the ids under which their rows may come: their own, and those of tables that inherit. */
  readonly tables: ReadonlyMap<string, readonly LiveTable[]>
  readonly types: ReadonlyMap<string, EntryTypes>
  /** The number of a transaction near those that will come, with its epoch. */
  readonly xid: bigint
}

/** A transaction that has been read to its end. */
export interface LogTransaction {
  readonly changes: TransactionChanges
  /** Where the log goes on after it. */
  readonly end: bigint
}

/** Makes transactions of the messages of the log. */
export class LogTransactions {
  readonly #context: LogContext
  readonly #relations = new Map<number, readonly LogRelation[]>()
  #xid: bigint
  #open: TransactionChanges | undefined

  constructor(context: LogContext) {
    this.#context = context
    this.#xid = context.xid
  }

  /** Whether a transaction has begun and not ended. */
  get isOpen(): boolean {
    return this.#open !== undefined
  }

  /**
   * Takes the next message; answers a transaction when it is complete.
   * @throws what made a message unreadable: then nothing can be said of what follows.
   */
  next(message: LogMessage): LogTransaction | undefined {
    if (message.tag === 'unreadable') throw message.error
    if (message.tag === 'begin') this.#open = new TransactionChanges(this.#wide(message.xid), this.#context.coarseKeys)
    else if (message.tag === 'relation') this.#relations.set(message.relationOid, this.#describe(message))
    else if (message.tag === 'commit') return this.#commit(message)
    else if (this.#open !== undefined) this.#add(this.#open, message)
    return undefined
  }

  #add(changes: TransactionChanges, message: Exclude<LogMessage, { tag: 'unreadable' }>): void {
    switch (message.tag) {
      case 'insert':
        for (const relation of this.#of(message.relation)) relation.inserted(changes, message.new)
        break
      case 'update':
        for (const relation of this.#of(message.relation)) relation.updated(changes, message)
        break
      case 'delete':
        for (const relation of this.#of(message.relation)) relation.deleted(changes, message)
        break
      case 'truncate':
        for (const { relationOid } of message.relations)
          for (const { entity } of this.#relations.get(relationOid) ?? []) changes.addCoarse(entity)
        break
      case 'message':
        if (message.prefix === NEW_SLOT && new TextDecoder().decode(message.content) === this.#context.slot)
          for (const entity of this.#context.types.keys()) changes.addCoarse(entity)
        break
      default:
        break
    }
  }

  #commit({ commitEndLsn }: Pgoutput.MessageCommit): LogTransaction | undefined {
    const changes = this.#open
    this.#open = undefined
    return changes === undefined || commitEndLsn === null ? undefined : { changes, end: parseLsn(commitEndLsn) }
  }

  #of({ relationOid }: Pgoutput.MessageRelation): readonly LogRelation[] {
    return this.#relations.get(relationOid) ?? []
  }

  #describe(message: Pgoutput.MessageRelation): readonly LogRelation[] {
    const { schema, name: table, columns, replicaIdentity, keyColumns } = message
    const identity = replicaIdentity === 'full' ? columns.map(({ name }) => name) : keyColumns
    const described = this.#context.tables.get(tableId({ schema, table })) ?? []
    return described.flatMap((entry) => {
      const types = this.#context.types.get(entry.entity)
      return types === undefined ? [] : [new LogRelation(entry, types, identity)]
    })
  }

  /** The log has 32 bits of the number of a transaction; those before them are those of its neighbours. */
  #wide(xid: number): string {
    const half = 1n << 31n
    let wide = ((this.#xid >> 32n) << 32n) | BigInt(xid >>> 0)
    if (wide > this.#xid + half && wide >= half * 2n) wide -= half * 2n
    else if (wide + half < this.#xid) wide += half * 2n
    this.#xid = wide
    return wide.toString()
  }
}
