import type { Change, ChangeBatch } from '@rtapi/core'
import type { ChangeSourceFactory, ChangeSourceSubject, ExpectedChange, ThingWriter } from './change-source-subject.ts'
import { type ConformanceCase, check, checkEqual, checkFails } from './conformance.ts'
import { settle } from './event-loop.ts'
import { type Thing, thing } from './things.ts'

/** A promise of change sources, tried on an empty table of things with a source that has been started. */
export type SourceCase<W extends ThingWriter> = readonly [name: string, run: (run: SourceRun<W>) => Promise<void>]

/** Turns a case into one that opens its subject, starts the source, and closes both. */
export function toConformanceCase<W extends ThingWriter>(
  factory: ChangeSourceFactory<W>,
  [name, body]: SourceCase<W>,
): ConformanceCase {
  return {
    name,
    async run() {
      const run = new SourceRun(factory, await factory.open())
      try {
        await run.subject.source.start((batch) => run.receive(batch))
        await body(run)
      } finally {
        await run.stop()
        await run.subject.close?.()
      }
    },
  }
}

/** One subject under watch: what its source has emitted, and what that must have been. */
export class SourceRun<W extends ThingWriter> {
  readonly factory: ChangeSourceFactory<W>
  readonly subject: ChangeSourceSubject<W>
  readonly batches: ChangeBatch[] = []
  /** Called with each batch besides recording it. */
  onBatch: (batch: ChangeBatch) => void = () => {}
  #stopped = false

  constructor(factory: ChangeSourceFactory<W>, subject: ChangeSourceSubject<W>) {
    this.factory = factory
    this.subject = subject
  }

  get writer(): W {
    return this.subject.writer
  }

  get entity(): string {
    return this.factory.entity ?? 'things'
  }

  receive(batch: ChangeBatch): void {
    this.batches.push(batch)
    this.onBatch(batch)
  }

  /** Stops the source, once. */
  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    await this.subject.source.stop()
  }

  /** Waits until all that has been committed has been emitted. */
  async settle(): Promise<void> {
    await this.subject.settle?.()
    await settle()
  }

  /** Creates things without watching. */
  async given(...things: readonly (Partial<Thing> & { readonly id: number })[]): Promise<void> {
    for (const fields of things) await this.writer.create(thing(fields))
    await this.forget()
  }

  /** Forgets what has been emitted so far. */
  async forget(): Promise<void> {
    await this.settle()
    this.batches.length = 0
  }

  /** Exactly these changes must have been emitted since the last look: each once, and none besides. */
  async expect(what: string, ...expected: readonly ExpectedChange[]): Promise<readonly Change[]> {
    await this.settle()
    const changes = this.#changes(what)
    this.#checkOnceEach(what)
    const names = changes.map((change) => this.#nameOf(change))
    const wanted = expected.filter(({ unsure }) => unsure !== true).map((change) => this.#nameOf(change))
    const allowed = new Set(expected.map((change) => this.#nameOf(change)))
    const surplus = names.filter((name) => !allowed.has(name))
    checkEqual(surplus, [], `${what}: announced, but not committed`)
    const missing = wanted.filter((name) => !names.includes(name))
    checkEqual(missing, [], `${what}: committed, but not announced`)
    for (const change of changes) {
      const action = expected.find((other) => this.#nameOf(other) === this.#nameOf(change))?.action
      if (action !== undefined) checkEqual(change.action, action, `${what}: the action on ${this.#nameOf(change)}`)
    }
    this.batches.length = 0
    return changes
  }

  /** The ids of the transactions of which something has been emitted since the last look. */
  async transactions(): Promise<readonly string[]> {
    await this.settle()
    return [...new Set(this.batches.map(({ tx }) => tx))]
  }

  /** The entities of which a coarse change has been emitted since the last look. */
  async coarse(): Promise<ReadonlySet<string>> {
    await this.settle()
    const changes = this.batches.flatMap(({ changes }) => changes)
    return new Set(changes.filter(({ type }) => type === 'coarse').map(({ entity }) => entity))
  }

  #changes(what: string): readonly Change[] {
    return this.batches.flatMap(({ tx, changes }) => {
      check(/^[\x21-\x7e]{1,64}$/.test(tx), `${what}: the transaction id ${JSON.stringify(tx)}`)
      check(changes.length > 0, `${what}: an empty batch`)
      return changes.map((change) => {
        check(change.type === 'change', `${what}: a coarse change of ${change.entity} where records were expected`)
        return change
      })
    })
  }

  #checkOnceEach(what: string): void {
    const seen = new Set<string>()
    for (const { tx, changes } of this.batches) {
      for (const change of changes) {
        const name = change.type === 'change' ? `${tx}: ${this.#nameOf(change)}` : `${tx}: all of ${change.entity}`
        check(!seen.has(name), `${what}: announced twice, ${name}`)
        seen.add(name)
      }
    }
  }

  #nameOf({ entity, key }: ExpectedChange): string {
    return `${entity ?? this.entity} ${JSON.stringify(key)}`
  }
}

/** The error with which cases roll back. */
export class Rollback extends Error {}

/** A transaction, or a savepoint, that rolls back at its end. */
export async function failing<W extends ThingWriter>(writer: W, work: (writer: W) => Promise<void>): Promise<void> {
  const failure = new Rollback('thrown by the test')
  const rejected = await checkFails(
    () =>
      writer.transaction(async (inner) => {
        await work(inner)
        throw failure
      }),
    'a transaction whose work threw resolved',
  )
  // Any other error is a fault of the writer under test, not the rollback that was wanted.
  if (rejected !== failure) throw rejected
}
