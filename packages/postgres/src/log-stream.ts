import { Socket } from 'node:net'
import type { Clock } from '@rtapi/core'
import { LogicalReplicationService } from 'pg-logical-replication'
import { type DatabaseAddress, clientConfig } from './database-link.ts'
import { InOrder } from './in-order.ts'
import { type LogContext, type LogTransaction, LogTransactions } from './log-transactions.ts'
import { formatLsn, parseLsn } from './lsn.ts'
import { type LogMessage, RawPgoutput } from './raw-pgoutput.ts'
import type { ReplicationPlace } from './replication-place.ts'

/** What a stream is opened with. */
export interface StreamOptions {
  readonly connection: DatabaseAddress
  readonly place: ReplicationPlace
  readonly context: LogContext
  /** What the slot has confirmed already; the server must not hear of less. */
  readonly confirmed: bigint
  readonly clock: Clock
  /** Announces a transaction; answers when the layer has taken it, or `false` if that was given up. Must not reject. */
  readonly announce: (transaction: LogTransaction) => Promise<boolean>
  /** The stream has ended by itself. Called at most once. */
  readonly ended: (error: Error) => void
}

/** Transactions that may wait for the channel layer at once. */
const UNDERWAY = 64
/** Milliseconds between two signs of life; the server ends a connection without any after 60 s. */
const STATUS_EVERY = 10_000

/** One connection on which the log comes. What the layer has taken is acknowledged, and only that. */
export class LogStream {
  readonly #options: StreamOptions
  readonly #socket = new Socket()
  readonly #service: LogicalReplicationService
  readonly #transactions: LogTransactions
  readonly #order: InOrder
  #arrived = 0
  #handled = 0
  /** Up to here the server need not keep anything. */
  #confirmed: bigint
  #cancelStatus: (() => void) | undefined
  #closed = false
  #closing: Promise<void> | undefined

  constructor(options: StreamOptions) {
    this.#options = options
    const { connection, context, confirmed } = options
    this.#confirmed = confirmed
    this.#transactions = new LogTransactions(context)
    this.#order = new InOrder(UNDERWAY, (place) => this.#confirm(place))
    const config = clientConfig(connection, this.#socket)
    // What the server writes must not depend on what is set for the role or the database, and the stream has no end.
    const settings = '-c datestyle=ISO -c timezone=UTC -c extra_float_digits=1 -c statement_timeout=0'
    const { query_timeout: _, statement_timeout: __, options: own = '', ...rest } = config
    this.#service = new LogicalReplicationService(
      { ...rest, options: `${own} ${settings}`, stream: () => this.#openSocket() },
      // It would acknowledge what has come, and not what was taken.
      { acknowledge: { auto: false, timeoutSeconds: 0 }, flowControl: { enabled: true } },
    )
    this.#service.on('data', (_lsn: string, message: LogMessage) => this.#handle(message))
    this.#service.on('heartbeat', (lsn: string, _time: number, mustAnswer: boolean) => this.#heartbeat(lsn, mustAnswer))
    this.#service.on('start', () => this.#sendStatus())
    this.#service.on('error', (error) => this.#end(error))
  }

  /** Connects and reads; resolves when the connection has ended, for whatever reason. */
  async run(): Promise<void> {
    const { publication, slot } = this.#options.place
    const plugin = new RawPgoutput(publication, () => this.#arrived++)
    try {
      // Without a place of its own the service would go on where it has read to, taken or not.
      await this.#service.subscribe(plugin, slot, '0/0')
      this.#end(new Error('PostgreSQL has ended the stream of its log'))
    } catch (error) {
      this.#end(error)
    }
    await this.close()
  }

  /** Ends the connection. Nothing is acknowledged afterwards. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#finish()
    // Whatever the server does: nobody waits for it.
    this.#socket.destroy()
    await this.#service.stop().catch(() => undefined)
  }

  /** The service may come to connect when it is too late. */
  #openSocket(): Socket {
    if (this.#closed) throw new Error('the stream was closed before it was connected')
    return this.#socket
  }

  async #handle(message: LogMessage): Promise<void> {
    if (this.#closed) return
    try {
      const transaction = this.#transactions.next(message)
      if (transaction !== undefined) {
        const { announce } = this.#options
        await this.#order.begin(transaction.end, () => announce(transaction))
      }
      this.#handled++
    } catch (error) {
      this.#end(error)
    }
  }

  /** What the server has read beyond our tables need not be kept, if nothing of ours is on its way. */
  #heartbeat(lsn: string, mustAnswer: boolean): void {
    const isIdle = this.#arrived === this.#handled && !this.#transactions.isOpen && this.#order.isIdle
    const before = this.#confirmed
    if (isIdle) this.#confirm(parseLsn(lsn))
    if (mustAnswer && this.#confirmed === before) this.#acknowledge(false)
  }

  #confirm(place: bigint): void {
    if (place <= this.#confirmed) return
    this.#confirmed = place
    this.#acknowledge(false)
  }

  /** Says that we are alive, and asks how far the server is. */
  #sendStatus(): void {
    if (this.#closed) return
    this.#acknowledge(true)
    this.#cancelStatus = this.#options.clock.setTimer(STATUS_EVERY, () => this.#sendStatus())
  }

  /**
   * The service acknowledges the byte after the one that it is given. Where a transaction ends the next one may begin, so
   * that one byte more would be a commit that nobody has seen.
   */
  #acknowledge(ping: boolean): void {
    if (this.#closed) return
    this.#service.acknowledge(formatLsn(this.#confirmed - 1n), ping).catch((error: unknown) => this.#end(error))
  }

  #end(error: unknown): void {
    if (this.#closed) return
    this.#finish()
    this.#options.ended(error instanceof Error ? error : new Error(String(error)))
  }

  #finish(): void {
    this.#closed = true
    this.#cancelStatus?.()
    this.#order.close()
  }
}
