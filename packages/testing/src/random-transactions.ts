import { Rollback, type SourceRun } from './change-source-run.ts'
import type { ExpectedChange, ThingWriter } from './change-source-subject.ts'
import { checkEqual } from './conformance.ts'
import { type SeededRandom, seededRandom } from './seeded-random.ts'
import { thing } from './things.ts'

/** What the table holds, and which records have been written, as far as it is not rolled back. */
interface Model {
  readonly texts: Map<number, string>
  readonly touched: Set<number>
}

const TRANSACTIONS = 12

/** Random transactions with savepoints three levels deep, some of which roll back: exactly what stays is announced. */
export async function tryRandomTransactions<W extends ThingWriter>(run: SourceRun<W>, seed: number): Promise<void> {
  const trial = new Trial(seededRandom(seed))
  let model: Model = { texts: new Map(), touched: new Set() }
  for (let i = 0; i < TRANSACTIONS; i++) {
    const before = model.texts
    const outcome = await trial.transaction(run.writer, { texts: model.texts, touched: new Set() }, 3)
    model = outcome ?? { texts: before, touched: new Set() }
    const what = `transaction ${i} of seed ${seed}: ${trial.log.splice(0).join(', ')}`
    await run.expect(what, ...changesBetween(before, model))
    await checkTable(run, model, what)
  }
}

function changesBetween(before: ReadonlyMap<number, string>, { texts, touched }: Model): readonly ExpectedChange[] {
  return [...touched].flatMap((key): readonly ExpectedChange[] => {
    if (!texts.has(key)) return before.has(key) ? [{ key, action: 'delete' }] : []
    return [{ key, action: before.has(key) ? 'update' : 'create' }]
  })
}

/** The writer has done what it was told; else the announcements were compared with something that never happened. */
async function checkTable<W extends ThingWriter>(run: SourceRun<W>, { texts }: Model, what: string): Promise<void> {
  for (const [id, text] of texts) {
    checkEqual((await run.subject.readCommitted(id))?.['text'], text, `${what}: the text of ${id} in the table`)
  }
}

class Trial {
  /** What has been done, for the message of a failure. */
  readonly log: string[] = []
  readonly #random: SeededRandom
  #lastId = 0
  #lastText = 0

  constructor(random: SeededRandom) {
    this.#random = random
  }

  /** Answers the model after the commit, or `undefined` if it was rolled back. */
  async transaction(writer: ThingWriter, model: Model, depth: number): Promise<Model | undefined> {
    let inside: Model = { texts: new Map(model.texts), touched: new Set(model.touched) }
    const rollback = this.#random.chance(0.3) ? new Rollback('thrown by the test') : undefined
    this.log.push('begin')
    try {
      await writer.transaction(async (inner) => {
        for (let steps = 1 + this.#random.integer(4); steps > 0; steps--) {
          if (depth > 1 && this.#random.chance(0.35))
            inside = (await this.transaction(inner, inside, depth - 1)) ?? inside
          else await this.#write(inner, inside)
        }
        if (rollback !== undefined) throw rollback
      })
    } catch (error) {
      if (error !== rollback) throw error
      this.log.push('rollback')
      return undefined
    }
    this.log.push('commit')
    return inside
  }

  async #write(writer: ThingWriter, { texts, touched }: Model): Promise<void> {
    const text = `text ${++this.#lastText}`
    const ids = [...texts.keys()]
    const kind = ids.length === 0 ? 0 : this.#random.integer(4)
    const id = kind === 0 ? ++this.#lastId : this.#random.pick(ids)
    touched.add(id)
    if (kind === 0) {
      this.log.push(`create ${id}`)
      texts.set(id, text)
      await writer.create(thing({ id, text }))
    } else if (kind === 1) {
      this.log.push(`remove ${id}`)
      texts.delete(id)
      await writer.remove(id)
    } else {
      this.log.push(`update ${id}`)
      texts.set(id, text)
      await writer.update(id, { text })
    }
  }
}
