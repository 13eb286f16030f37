import type { ChangeSource, Store } from '@rtapi/core'
import { type ChangeSourceFactory, type StoreFactory, type ThingWriter, storeSuite } from '@rtapi/testing'
import { afterAll, beforeAll, describe, test } from 'vitest'
import type { DocumentedName } from './write-paths/documented.ts'
import { tryChangeSource } from './write-paths/try-change-source.ts'

/** The adapter of an ORM, on a database that is open. */
interface OpenOrm<W extends ThingWriter> {
  readonly live: {
    changes(): ChangeSource
    uncaptured(): readonly { readonly count: number }[]
    readonly outbox?: { install(): Promise<void> } | undefined
    stop(): void
  }
  /** The store of things. */
  readonly store: Store
  /** The same on connections of its own. */
  readonly other: Store
  readonly writer: () => W
  /** Deletes all records, and what waits in the outbox. */
  clear(): Promise<void>
  close(): Promise<void>
}

/** An adapter of an ORM that is tried. */
export interface OrmUnderTest<W extends ThingWriter> {
  readonly name: DocumentedName
  /** Opens a new database. */
  readonly open: (options: { readonly outbox: boolean }) => Promise<OpenOrm<W>>
  readonly paths: ChangeSourceFactory<W>['paths']
}

/** What differs from database to database. */
export type Peculiarities<W extends ThingWriter> = Pick<StoreFactory, 'decimalDigits'> &
  Pick<ChangeSourceFactory<W>, 'concurrent' | 'failingCommit'>

/** Makes tests of the suites for the store and the change source, with and without an outbox. */
export function tryOrm<W extends ThingWriter>(
  database: string,
  { name, open, paths }: OrmUnderTest<W>,
  { decimalDigits, ...rest }: Peculiarities<W>,
): void {
  describe('the store', () => {
    const orm = opened(() => open({ outbox: false }))
    const suite = storeSuite({
      ...(decimalDigits && { decimalDigits }),
      async open() {
        await orm().clear()
        return { store: orm().store }
      },
    })
    for (const { name: title, run } of suite) test(title, run)
  })

  describe.each(['without', 'with'] as const)('the change source %s an outbox', (outbox) => {
    const orm = opened(() => open({ outbox: outbox === 'with' }))
    tryChangeSource(name, database, {
      ...rest,
      entity: 'Thing',
      paths,
      async open() {
        // Of the case before, too, what it has written after it had stopped its source.
        await orm().clear()
        const { live, store, other, writer } = orm()
        return {
          source: live.changes(),
          writer: writer(),
          store,
          readCommitted: async (id) => (await other.read([id]))[0],
          uncaptured: () => live.uncaptured().reduce((sum, { count }) => sum + count, 0),
        }
      },
    })
  })
}

/** Opens it before the tests and closes it after them. */
function opened<W extends ThingWriter>(open: () => Promise<OpenOrm<W>>): () => OpenOrm<W> {
  let orm: OpenOrm<W> | undefined
  beforeAll(async () => {
    orm = await open()
    await orm.live.outbox?.install()
  })
  afterAll(async () => {
    orm?.live.stop()
    await orm?.close()
  })
  return () => {
    if (orm === undefined) throw new Error('the database is not open')
    return orm
  }
}
