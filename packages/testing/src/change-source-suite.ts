import { pathCases } from './change-source-paths.ts'
import { type SourceCase, toConformanceCase } from './change-source-run.ts'
import type { ChangeSourceFactory, ThingWriter } from './change-source-subject.ts'
import { transactionCases } from './change-source-transactions.ts'
import { singleWriteCases } from './change-source-writes.ts'
import type { ConformanceCase } from './conformance.ts'
import { tryRandomTransactions } from './random-transactions.ts'

/** What every `ChangeSource` promises, and what this one declares of its paths. */
export function changeSourceSuite<W extends ThingWriter>(factory: ChangeSourceFactory<W>): readonly ConformanceCase[] {
  const random = (factory.seeds ?? [1, 2, 3]).map((seed): SourceCase<W> => [
    `announces exactly what random transactions have committed (seed ${seed})`,
    (run) => tryRandomTransactions(run, seed),
  ])
  const cases = [...singleWriteCases<W>(), ...transactionCases(factory), ...random, ...pathCases(factory)]
  return cases.map((sourceCase) => toConformanceCase(factory, sourceCase))
}
