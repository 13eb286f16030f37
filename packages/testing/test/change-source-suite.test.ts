import { type Change, type ChangeBatch, type ChangeSource, memoryStore } from '@rtapi/core'
import {
  type ChangeSourceFactory,
  type ChangeSourceSubject,
  type PathFinding,
  type Thing,
  type ThingWriter,
  type WritePath,
  changeSourceSuite,
  pathNames,
  thingFields,
} from '@rtapi/testing'
import { describe, expect, test } from 'vitest'
import { failuresOf } from './support/failures.ts'
import { failingCommit, memoryWriter, noPaths } from './support/memory-writer.ts'

type Emit = (batch: ChangeBatch) => void

interface Mutant {
  /** What is emitted instead. */
  readonly emit?: (emit: Emit) => Emit
  /** The store's own announcements are dropped; `writer` makes others. */
  readonly silent?: true
  /** What the source does instead. */
  readonly source?: (source: ChangeSource) => ChangeSource
  /** What is done besides writing: hooks that emit at the wrong time. */
  readonly writer?: (writer: ThingWriter, emit: Emit) => ThingWriter
}

function failuresWith(mutant: Mutant, change: Partial<ChangeSourceFactory> = {}): Promise<string[]> {
  const cases = changeSourceSuite({
    open: () => subjectOf(mutant),
    concurrent: true,
    failingCommit,
    paths: noPaths,
    seeds: [1],
    ...change,
  })
  return failuresOf(cases)
}

function subjectOf({ emit, silent, source, writer }: Mutant): ChangeSourceSubject {
  const store = memoryStore<Thing>({ entity: 'things', fields: thingFields, unique: [['code']] })
  let emitted: Emit = () => {}
  const right: ChangeSource = {
    start(given) {
      emitted = (batch) => {
        // As the memory store does, which is not to be disturbed either.
        try {
          given(batch)
        } catch {
          // It is a mutant's own fault if it throws.
        }
      }
      store.start(silent === true ? () => {} : (emit?.(emitted) ?? emitted))
    },
    stop: () => store.stop(),
  }
  return {
    source: source?.(right) ?? right,
    store,
    writer: writer?.(memoryWriter(store), (batch) => emitted(batch)) ?? memoryWriter(store),
    readCommitted: (id) => store.read([id])[0],
  }
}

let transactions = 0
const about = (key: number, action: Change['action']): ChangeBatch => ({
  tx: `m${++transactions}`,
  changes: [{ type: 'change', entity: 'things', key, action }],
})

/** Hooks that run with each write, in a transaction too. */
function hooked(writer: ThingWriter, hook: (key: number, action: Change['action']) => void): ThingWriter {
  return {
    async create(data) {
      const result = await writer.create(data)
      hook(data.id, 'create')
      return result
    },
    async update(id, patch) {
      const result = await writer.update(id, patch)
      hook(id, 'update')
      return result
    },
    async remove(id) {
      const result = await writer.remove(id)
      hook(id, 'delete')
      return result
    },
    transaction: (work) => writer.transaction((inner) => work(hooked(inner, hook))),
  }
}

/** A source that emits by hooks of its own and not by the store; it collects what a transaction wrote. */
const collecting =
  (keep: {
    readonly rolledBack?: boolean
    readonly savepoints?: 'at once' | 'always'
  }): NonNullable<Mutant['writer']> =>
  (writer, emit) => {
    const emitAll = (writes: readonly ChangeBatch[]): void => {
      const last = new Map(writes.flatMap(({ changes }) => changes.map((change) => [JSON.stringify(change), change])))
      if (last.size > 0) emit({ tx: `m${++transactions}`, changes: [...last.values()] })
    }
    const level = (inner: ThingWriter, outer: ChangeBatch[] | undefined): ThingWriter => ({
      ...hooked(inner, (key, action) => {
        if (outer === undefined) emit(about(key, action))
        else outer.push(about(key, action))
      }),
      async transaction(work) {
        const writes: ChangeBatch[] = []
        let committed = false
        try {
          const result = await inner.transaction((innermost) => work(level(innermost, writes)))
          committed = true
          return result
        } finally {
          if (committed || keep.rolledBack === true || (outer !== undefined && keep.savepoints === 'always')) {
            if (outer === undefined || keep.savepoints === 'at once') emitAll(writes)
            else outer.push(...writes)
          }
        }
      },
    })
    return level(writer, undefined)
  }

const mutants: Readonly<Record<string, Mutant>> = {
  'emits nothing': { emit: () => () => {} },
  'emits every batch twice': {
    emit: (emit) => (batch) => {
      emit(batch)
      emit(batch)
    },
  },
  'names a record twice in a batch': {
    emit: (emit) => (batch) => emit({ ...batch, changes: [...batch.changes, ...batch.changes] }),
  },
  'emits a batch for each record': {
    emit: (emit) => (batch) => {
      for (const change of batch.changes) emit({ ...batch, changes: [change] })
    },
  },
  'gives every batch the same id': { emit: (emit) => (batch) => emit({ ...batch, tx: 'same' }) },
  'gives ids that are no plain text': { emit: (emit) => (batch) => emit({ ...batch, tx: `${batch.tx} ü` }) },
  'gives an id of its own, which the store does not know': {
    emit: (emit) => (batch) => emit({ ...batch, tx: `${batch.tx}x` }),
  },
  'calls every change an update': {
    emit: (emit) => (batch) => emit(mapChanges(batch, (change) => ({ ...change, action: 'update' }))),
  },
  'does not see deletes': {
    emit: (emit) => (batch) => {
      const changes = batch.changes.filter((change) => change.type === 'change' && change.action !== 'delete')
      if (changes.length > 0) emit({ ...batch, changes })
    },
  },
  'says that all changed, whatever did': {
    emit:
      (emit) =>
      ({ tx }) =>
        emit({ tx, changes: [{ type: 'coarse', entity: 'things' }] }),
  },
  'names another entity': {
    emit: (emit) => (batch) => emit(mapChanges(batch, (change) => ({ ...change, entity: 'Thing' }))),
  },
  'names keys as text': {
    emit: (emit) => (batch) => emit(mapChanges(batch, (change) => ({ ...change, key: String(change.key) }))),
  },
  'says after where it means before': {
    emit: (emit) => (batch) =>
      emit(
        mapChanges(batch, (change) => ({
          ...change,
          ...(change.after ? { before: change.after } : {}),
        })),
      ),
  },
  'says numbers where decimals are text': {
    emit: (emit) => (batch) =>
      emit(
        mapChanges(batch, (change) =>
          change.after === undefined
            ? change
            : { ...change, after: { ...change.after, price: Number(change.after['price']) } },
        ),
      ),
  },
  'changes a batch that it has emitted': {
    emit: (emit) => {
      let last: { tx: string } | undefined
      return (batch) => {
        if (last !== undefined) last.tx = 'reused'
        last = { ...batch }
        emit(last as ChangeBatch)
      }
    },
  },
  'goes on after stop': { source: (source) => ({ start: (emit) => source.start(emit), stop: () => {} }) },
  'emits with each write, and not at the commit': {
    silent: true,
    writer: (writer, emit) => hooked(writer, (key, action) => emit(about(key, action))),
  },
  'emits before a write has been made': {
    writer: (writer, emit) => ({
      ...writer,
      create(data) {
        emit(about(data.id, 'create'))
        return writer.create(data)
      },
    }),
  },
  'emits what was rolled back': { silent: true, writer: collecting({ rolledBack: true }) },
  'emits a savepoint at its own end': { silent: true, writer: collecting({ savepoints: 'at once' }) },
  'emits a savepoint that rolled back': { silent: true, writer: collecting({ savepoints: 'always' }) },
  'emits a save without a change': {
    writer: (writer, emit) => ({
      ...writer,
      async update(id, patch) {
        const result = await writer.update(id, patch)
        if (typeof result === 'object' && result !== null && !('tx' in result)) emit(about(id, 'update'))
        return result
      },
    }),
  },
  'emits although the commit failed': {
    writer: (writer, emit) => ({
      ...writer,
      async transaction(work) {
        try {
          return await writer.transaction(work)
        } catch (error) {
          if (String(error).includes('unique')) emit(about(1, 'update'))
          throw error
        }
      },
    }),
  },
  'lets what emit throws reach the writer': {
    source: (source) => ({
      start(emit) {
        failing = undefined
        return source.start((batch) => {
          try {
            emit(batch)
          } catch (error) {
            failing = error
          }
        })
      },
      stop: () => source.stop(),
    }),
    writer: (writer) => ({
      ...writer,
      async create(data) {
        const result = await writer.create(data)
        if (failing instanceof Error) throw failing
        return result
      },
    }),
  },
  'wraps the errors of the library': {
    source(source) {
      return {
        start(emit) {
          started = true
          return source.start(emit)
        },
        stop() {
          started = false
          return source.stop()
        },
      }
    },
    writer: (writer) => ({
      ...writer,
      async create(data) {
        try {
          return await writer.create(data)
        } catch (error) {
          if (started) throw new Error('a write failed', { cause: error })
          throw error
        }
      },
    }),
  },
  'swallows the error of a transaction': {
    writer: (writer) => ({
      ...writer,
      transaction: <T>(work: (inner: ThingWriter) => Promise<T>) =>
        writer.transaction(work).catch(() => undefined) as Promise<T>,
    }),
  },
}

let failing: unknown
let started = false

function mapChanges(batch: ChangeBatch, change: (change: Change) => Change): ChangeBatch {
  return { ...batch, changes: batch.changes.map((one) => (one.type === 'change' ? change(one) : one)) }
}

test('the right source passes', async () => {
  expect(await failuresWith({})).toEqual([])
})

test.each(Object.keys(mutants))('a source that %s is found', async (name) => {
  expect(await failuresWith(mutants[name] ?? {})).not.toEqual([])
})

test.each([
  [{ rolledBack: true }, 'announces nothing of a transaction that rolls back'],
  [{ savepoints: 'at once' }, 'announces what a savepoint wrote after the outermost commit, and not before'],
  [{ savepoints: 'always' }, 'announces nothing of a savepoint that rolled back'],
] as const)('a source that collects by itself, wrongly (%j), is found by the case of just that', async (keep, name) => {
  const found = await failuresWith({ silent: true, writer: collecting(keep) })
  const foundAnyhow = await failuresWith({ silent: true, writer: collecting({}) })
  const isIt = (failure: string): boolean => failure.startsWith(name)
  expect([found.some(isIt), foundAnyhow.some(isIt)]).toEqual([true, false])
})

/** What an adapter declares of a path, and what its source really makes of it. */
describe('a declaration is checked', () => {
  const bulk = (as: WritePath<ThingWriter>['as']): Partial<ChangeSourceFactory> => ({
    paths: {
      ...noPaths,
      bulkUpdate: {
        as,
        async run(writer) {
          for (const id of [1, 2]) await writer.update(id, { owner: 'bulk' })
          return [1, 2].map((key) => ({ key, action: 'update' as const }))
        },
      },
    },
  })
  const isBulk = (batch: ChangeBatch): boolean =>
    batch.changes.some((change) => change.type === 'change' && change.after?.['owner'] === 'bulk')
  const instead = (make: (batch: ChangeBatch) => ChangeBatch | undefined): Mutant => ({
    emit: (emit) => (batch) => {
      const made = isBulk(batch) ? make(batch) : batch
      if (made !== undefined) emit(made)
    },
  })
  const coarse = instead(({ tx }) => ({ tx, changes: [{ type: 'coarse', entity: 'things' }] }))
  const missed = instead(() => undefined)

  test('a path that is captured, or coarse, as declared, passes', async () => {
    expect(await failuresWith({}, bulk('captured'))).toEqual([])
    expect(await failuresWith(coarse, bulk('coarse'))).toEqual([])
  })

  test('what is found of each path is told, and nothing of one of which the promise is broken', async () => {
    const foundOf = async (mutant: Mutant, as: WritePath<ThingWriter>['as']): Promise<Map<string, PathFinding>> => {
      const findings = new Map<string, PathFinding>()
      await failuresWith(mutant, { ...bulk(as), found: (path, finding) => void findings.set(path, finding) })
      return findings
    }
    const found = await foundOf({}, 'captured')
    expect([...found.keys()]).toEqual([...pathNames])
    expect([found.get('bulkUpdate'), found.get('rawSql')]).toEqual([
      { is: 'captured' },
      { is: 'none', reason: 'a memory store writes each record by itself' },
    ])
    expect((await foundOf(coarse, 'coarse')).get('bulkUpdate')).toEqual({ is: 'coarse' })
    expect((await foundOf(coarse, 'captured')).has('bulkUpdate')).toBe(false)
    expect((await foundOf({}, 'coarse')).has('bulkUpdate')).toBe(false)
  })

  test('a path that is not captured passes if it is counted, and only then', async () => {
    const declared = bulk({ notCaptured: 'for the test' })
    let counted = 0
    const findings: PathFinding[] = []
    const counting = (count: number): Partial<ChangeSourceFactory> => ({
      ...declared,
      found: (path, finding) => void (path === 'bulkUpdate' && findings.push(finding)),
      open: () => ({
        ...subjectOf({
          emit: (emit) => (batch) => {
            if (isBulk(batch)) counted += count
            else emit(batch)
          },
        }),
        uncaptured: () => counted,
      }),
    })
    expect(await failuresWith({}, counting(1))).toEqual([])
    expect(findings.splice(0)).toEqual([1, 2].map(() => ({ is: 'notCaptured', reason: 'for the test' })))
    expect((await failuresWith({}, counting(0))).join()).toContain('it would be missed silently')
    expect((await failuresWith(missed, declared)).join()).toContain("the subject has no 'uncaptured'")
    expect(findings).toEqual([])
  })

  test.each([
    ['captured, but coarse', coarse, 'captured'],
    ['captured, but missed', missed, 'captured'],
    ['coarse, but missed', missed, 'coarse'],
    [
      'captured, but one record is missed',
      instead(({ tx, changes }) => ({ tx, changes: changes.slice(1) })),
      'captured',
    ],
  ] as const)('a path that is declared %s, is found', async (_, mutant, as) => {
    expect(await failuresWith(mutant, bulk(as))).not.toEqual([])
  })
})
