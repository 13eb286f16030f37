import { Socket } from 'node:net'
import { type Clock, systemClock } from '@rtapi/core'
import { Client, type ClientConfig } from 'pg'

/** Where the database is, as `pg` takes it: a URL, or a configuration. What is missing comes from the `PG*` variables. */
export type DatabaseAddress = string | ClientConfig

/** Milliseconds that a server has to say goodbye. */
const GOODBYE_TIME = 1_000

/** What a connection is made with, of whatever kind. The socket is known, so that nothing waits for a silent server. */
export function clientConfig(address: DatabaseAddress, socket: Socket): ClientConfig {
  return {
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
    application_name: 'rtapi',
    ...(typeof address === 'string' ? { connectionString: address } : address),
    stream: () => socket,
  }
}

/** One connection to the database that tells when it is lost, and never keeps its owner waiting. */
export class DatabaseLink {
  readonly client: Client
  readonly #socket = new Socket()
  readonly #clock: Clock
  #failure: Error | undefined
  #closing: Promise<void> | undefined
  #last: Promise<unknown> = Promise.resolve()

  private constructor(address: DatabaseAddress, { clock, lost }: { readonly clock: Clock; readonly lost: () => void }) {
    this.#clock = clock
    this.client = new Client({ query_timeout: 10_000, ...clientConfig(address, this.#socket) })
    const fail = (error?: Error): void => {
      this.#failure ??= error ?? new Error('the connection to PostgreSQL was lost')
      lost()
    }
    this.client.on('error', fail)
    this.client.on('end', () => fail())
  }

  /**
   * Connects. `lost` is called when the connection ends, whoever ended it.
   * @throws what `pg` throws.
   */
  static async open(
    address: DatabaseAddress,
    { clock = systemClock, lost = () => undefined }: { readonly clock?: Clock; readonly lost?: () => void } = {},
  ): Promise<DatabaseLink> {
    const link = new DatabaseLink(address, { clock, lost })
    try {
      await link.client.connect()
      return link
    } catch (error) {
      await link.close()
      throw error
    }
  }

  /** Why the connection is of no use any more. */
  get failure(): Error | undefined {
    return this.#failure
  }

  /** Does what asks the database when whoever came before has been answered: `pg` asks one thing at a time. */
  inTurn<T>(ask: (client: Client) => Promise<T>): Promise<T> {
    const turn = this.#last.then(() => ask(this.client))
    this.#last = turn.catch(() => undefined)
    return turn
  }

  /** Ends the connection; a statement that is under way is cut off, and a silent server is left to itself. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const cancel = this.#clock.setTimer(GOODBYE_TIME, () => this.#socket.destroy())
    await this.client.end().catch(() => undefined)
    cancel()
    this.#socket.destroy()
  }
}

/** Whether trying again is of no use: SQLSTATEs of authentication, missing databases, rights and names. */
export function needsPerson(error: unknown): boolean {
  const code = sqlState(error)
  return code !== undefined && /^(28|3D|42)[0-9A-Z]{3}$/.test(code)
}

/** The SQLSTATE of an error of the database. */
export function sqlState(error: unknown): string | undefined {
  const code: unknown = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : undefined
}
