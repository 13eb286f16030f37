import type { Endpoint } from '../commands.ts'

/** Rows of the table, and topics among which they are spread evenly. */
export const ROWS = 10_000
export const TOPICS = 100

/** How all rows are changed: by one statement, as entities in one flush, or in transactions of a thousand keys each. */
export type BulkWay = 'native' | 'flush' | 'keys'

/** What a server process went through since `watch`. */
export interface Strain {
  /** Milliseconds by which a timer was late at the most: other processes of the machine may be the reason, too. */
  readonly longest: number
  /** Milliseconds of processor time that one turn of the event loop took at the most; in how many turns more than 50. */
  readonly busiest: number
  readonly long: number
  /** Megabytes: after a collection before, at the most, and after a collection behind it. */
  readonly heap: readonly [before: number, peak: number, after: number]
}

export interface BulkServerCommands {
  /** Serves the rows of this database, or without one rows in memory, so that the work of core is alone. */
  start(database: string | null): Promise<Endpoint>
  watch(): Promise<void>
  strain(): Promise<Strain>
  /** Sets the round of every row. */
  change(way: BulkWay, round: number): Promise<void>
  /** What the ORM does by itself, without any view: reads all rows as core would. */
  readAll(): Promise<void>
  startProfile(): Promise<void>
  writeProfile(file: string): Promise<void>
}

export interface BulkClientCommands {
  /** Connects the subscribers; resolves when the views of all are whole. */
  connect(endpoint: Endpoint): Promise<void>
  /** Resolves when every row of every view is of this round. */
  converged(round: number): Promise<void>
  disconnect(): Promise<void>
}
