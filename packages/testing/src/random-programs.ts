import type { ChangeBatch, Key } from '@rtapi/core'
import { type SeededRandom, seededRandom } from './seeded-random.ts'

/** One kind of write that a random program may do. `W` is what a library writes with, in a transaction or outside. */
export interface ProgramStep<W> {
  readonly name: string
  /** How often it is chosen beside the others. @default 1 */
  readonly weight?: number
  /**
   * Writes, and answers what the library answered. Rejecting is an outcome as good as any. Takes all chance from
   * `random`, so that it does the same on another database in the same state.
   */
  run(writer: W, random: SeededRandom): Promise<unknown>
}

/** How a transaction begins: as a savepoint if there is one already, or always as one of its own. */
export type ProgramTransaction = 'nested' | 'separate'

/** What random programs run on. */
export interface ProgramSubject<W> {
  readonly steps: readonly ProgramStep<W>[]
  /** A new writer outside of every transaction. */
  writer(): W
  /** Commits if the work resolves; rolls back if it rejects, and then rejects with the same error. */
  transaction(writer: W, kind: ProgramTransaction, work: (inner: W) => Promise<void>): Promise<void>
  /** Whether a transaction of its own can run while the outer one is open; false where all share one connection. */
  readonly separate: boolean
  /** Called after each step and transaction outside of every other, when all of it is committed or rolled back. */
  committed?(): Promise<void>
}

/** How many steps and transactions a program has outside of every other. */
const LENGTH = 8
const DEPTH = 3

/**
 * Runs the random program of a seed: single steps and transactions in which steps fail, are caught, or end it, with
 * savepoints and transactions of their own within. Answers what happened, as texts: with the same seed, the same on
 * every database of the same state.
 * @throws only what `committed` throws.
 */
export async function runRandomProgram<W>(subject: ProgramSubject<W>, seed: number): Promise<readonly string[]> {
  const program = new Program(subject, seededRandom(seed))
  for (let i = 0; i < LENGTH; i++) {
    await program.block(subject.writer(), 0)
    await subject.committed?.()
  }
  return program.log
}

class Program<W> {
  readonly log: string[] = []
  readonly #subject: ProgramSubject<W>
  readonly #steps: readonly ProgramStep<W>[]
  readonly #random: SeededRandom

  constructor(subject: ProgramSubject<W>, random: SeededRandom) {
    this.#subject = subject
    this.#steps = subject.steps.flatMap((step) => Array.from({ length: step.weight ?? 1 }, () => step))
    this.#random = random
  }

  /** A step or a transaction of which no failure gets out. */
  async block(writer: W, depth: number): Promise<void> {
    await this.#one(writer, depth).catch((error: unknown) => this.#note(depth, `caught ${describe(error)}`))
  }

  async #one(writer: W, depth: number): Promise<void> {
    if (depth < DEPTH && this.#random.chance(depth === 0 ? 0.6 : 0.25)) await this.#transaction(writer, depth)
    else await this.#step(writer, depth)
  }

  async #transaction(writer: W, depth: number): Promise<void> {
    const separate = this.#random.chance(0.25) && this.#subject.separate
    // What is drawn is drawn here, so that the rest of the program is the same wherever this one fails.
    const random = seededRandom(this.#random.integer(2 ** 31))
    const inner = new Program(this.#subject, random)
    const undone = random.chance(0.25)
    const length = 1 + random.integer(4)
    try {
      await this.#subject.transaction(writer, separate ? 'separate' : 'nested', async (within) => {
        for (let i = 0; i < length; i++) {
          if (random.chance(0.5)) await inner.block(within, depth + 1)
          else await inner.#one(within, depth + 1)
        }
        if (undone) throw new Error('undone by the program')
      })
      this.#note(depth, `${separate ? 'separate ' : ''}transaction`)
    } catch (error) {
      this.#note(depth, `${separate ? 'separate ' : ''}transaction fails with ${describe(error)}`)
      throw error
    } finally {
      this.log.push(...inner.log)
    }
  }

  async #step(writer: W, depth: number): Promise<void> {
    const step = this.#random.pick(this.#steps)
    const random = seededRandom(this.#random.integer(2 ** 31))
    try {
      const result = await step.run(writer, random)
      this.#note(depth, `${step.name} answers ${JSON.stringify(result)}`)
    } catch (error) {
      this.#note(depth, `${step.name} fails with ${describe(error)}`)
      throw error
    }
  }

  #note(depth: number, text: string): void {
    this.log.push(`${'  '.repeat(depth)}${text}`)
  }
}

/** Names an error by what an application can tell of it: statements in messages may differ. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code: unknown = Reflect.get(error, 'code')
  return `${error.name}${typeof code === 'string' ? ` ${code}` : ''}`
}

interface Doubt {
  readonly batch: number
  readonly entity: string
  readonly key: Key
  readonly action: string
}

/**
 * Looks up each record when it is announced, as somebody outside of every transaction sees it: what was created or
 * updated must be there, and what was deleted must not, unless another batch tells of the record once more, or the same
 * one that any record of the entity may have changed.
 */
export class AnnouncedRecords {
  readonly #exists: (entity: string, key: Key) => Promise<boolean>
  readonly #anyOrder: boolean
  readonly #batches: ChangeBatch[] = []
  readonly #lookups: Promise<void>[] = []
  readonly #doubts: Doubt[] = []

  /**
   * @param exists - whether a record is committed; asked on a connection of its own.
   * @param options.anyOrder - several transactions at once may be announced in another order than they were committed.
   */
  constructor(exists: (entity: string, key: Key) => Promise<boolean>, options: { readonly anyOrder?: boolean } = {}) {
    this.#exists = exists
    this.#anyOrder = options.anyOrder === true
  }

  /** A batch has been emitted. */
  receive(batch: ChangeBatch): void {
    const index = this.#batches.push(batch) - 1
    for (const change of batch.changes) {
      if (change.type === 'coarse') continue
      const { entity, key, action } = change
      this.#lookups.push(
        this.#exists(entity, key).then((exists) => {
          if (exists === (action === 'delete')) this.#doubts.push({ batch: index, entity, key, action })
        }),
      )
    }
  }

  /** Waits for all lookups, and answers what was announced and never committed. */
  async uncommitted(): Promise<readonly string[]> {
    await Promise.all(this.#lookups.splice(0))
    return this.#doubts
      .filter((doubt) => !this.#batches.some((batch, i) => this.#explains(doubt, batch, i)))
      .map(({ entity, key, action }) => `${action} ${entity} ${JSON.stringify(key)}`)
  }

  #explains(doubt: Doubt, { changes }: ChangeBatch, index: number): boolean {
    const isOther = this.#anyOrder ? index !== doubt.batch : index > doubt.batch
    return changes.some((change) => {
      if (change.entity !== doubt.entity) return false
      // Also of the same batch: what was written by its key may have been deleted by a statement that names none.
      if (change.type === 'coarse') return isOther || index === doubt.batch
      if (!isOther) return false
      const isSame = JSON.stringify(change.key) === JSON.stringify(doubt.key)
      return isSame && (change.action === 'delete') !== (doubt.action === 'delete')
    })
  }
}

/**
 * The seeds to run: those which a text names, such as `7` or `1-50` or `3,8,20-30`, else the usual ones.
 * @throws RangeError if the text names none.
 */
export function seedsFrom(text: string | undefined, usual: readonly number[]): readonly number[] {
  if (text === undefined || text === '') return usual
  return text.split(',').flatMap((part) => {
    const [first = Number.NaN, last = first] = part.split('-').map(Number)
    if (!Number.isInteger(first) || !Number.isInteger(last) || last < first) {
      throw new RangeError(`'${part}' names no seeds; write such as 7 or 1-50`)
    }
    return Array.from({ length: last - first + 1 }, (_, i) => first + i)
  })
}
