import { type Pgoutput, PgoutputPlugin } from 'pg-logical-replication'
import type { Client } from 'pg'
import { literal, quoted } from './sql-text.ts'

/** A message of the log, or why it could not be read. */
export type LogMessage = Pgoutput.Message | { readonly tag: 'unreadable'; readonly error: unknown }

/**
 * Reads the protocol `pgoutput` with all values as the texts that PostgreSQL writes, whatever parsers the program has set
 * up for its own queries; and never throws, since what is thrown here would end the process.
 */
export class RawPgoutput extends PgoutputPlugin {
  readonly #publication: string
  readonly #arrived: () => void

  /** @param arrived - is called for each message when it comes, before it waits for its turn. */
  constructor(publication: string, arrived: () => void) {
    super({ protoVersion: 1, publicationNames: [publication], messages: true })
    this.#publication = publication
    this.#arrived = arrived
  }

  override parse(buffer: Buffer): Pgoutput.Message {
    this.#arrived()
    return this.#read(buffer) as Pgoutput.Message
  }

  #read(buffer: Buffer): LogMessage {
    try {
      const message = super.parse(buffer)
      if (message.tag === 'relation') for (const column of message.columns) column.parser = (text: string) => text
      return message
    } catch (error) {
      return { tag: 'unreadable', error }
    }
  }

  override start(client: Client, slot: string, from: string): Promise<unknown> {
    const options = `proto_version '1', publication_names ${literal(quoted(this.#publication))}, messages 'true'`
    return client.query(`START_REPLICATION SLOT ${quoted(slot)} LOGICAL ${from} (${options})`)
  }
}
