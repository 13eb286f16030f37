import { type SourceCase, type SourceRun, failing } from './change-source-run.ts'
import type { ChangeSourceFactory, ExpectedChange, ThingWriter, WritePath } from './change-source-subject.ts'
import { check, checkEqual } from './conformance.ts'

/** What an adapter declares of each path, put to the test: by itself, in a transaction, and in one that rolls back. */
export function pathCases<W extends ThingWriter>(factory: ChangeSourceFactory<W>): readonly SourceCase<W>[] {
  return Object.entries(factory.paths).flatMap(([name, path]): readonly SourceCase<W>[] =>
    'absent' in path ? [noneOf(name, path.absent)] : casesOf(name, path),
  )
}

function noneOf<W extends ThingWriter>(name: string, reason: string): SourceCase<W> {
  return [`${name}: there is none, ${reason}`, async ({ factory }) => factory.found?.(name, { is: 'none', reason })]
}

function casesOf<W extends ThingWriter>(name: string, path: WritePath<W>): readonly SourceCase<W>[] {
  const declared = typeof path.as === 'string' ? path.as : `not captured, but counted: ${path.as.notCaptured}`
  return [
    [
      `${name}: ${declared}`,
      async (run) => {
        const counted = await prepare(run, path)
        const expected = await path.run(run.writer)
        await checkDeclared(run, path, { name, expected, counted })
      },
    ],
    [
      `${name} in a transaction: ${declared}, after the commit`,
      async (run) => {
        const counted = await prepare(run, path)
        const expected = await run.writer.transaction(async (writer) => {
          const changes = await path.run(writer)
          await run.settle()
          checkEqual(run.batches, [], `${name}: emitted before the commit`)
          return changes
        })
        await checkDeclared(run, path, { name, expected, counted })
      },
    ],
    [
      `${name} in a transaction that rolls back: nothing is announced`,
      async (run) => {
        await prepare(run, path)
        await failing(run.writer, async (writer) => void (await path.run(writer)))
        await run.settle()
        checkEqual(run.batches, [], `${name}: emitted of a transaction that was rolled back`)
      },
    ],
  ]
}

/** Answers how many writes have been counted as not captured so far. */
async function prepare<W extends ThingWriter>(run: SourceRun<W>, path: WritePath<W>): Promise<number> {
  await run.given({ id: 1, text: 'one' }, { id: 2, text: 'two' }, { id: 3, text: 'three' })
  await path.prepare?.(run.writer)
  await run.forget()
  return run.subject.uncaptured?.() ?? 0
}

async function checkDeclared<W extends ThingWriter>(
  run: SourceRun<W>,
  path: WritePath<W>,
  ran: { readonly name: string; readonly expected: readonly ExpectedChange[]; readonly counted: number },
): Promise<void> {
  const { name, expected, counted } = ran
  const certain = expected.filter(({ unsure }) => unsure !== true)
  const uncaptured = run.subject.uncaptured?.()
  if (path.as === 'captured') {
    await run.expect(name, ...expected)
    checkEqual(uncaptured ?? counted, counted, `${name}: writes counted as not captured, though it is captured`)
    return run.factory.found?.(name, { is: 'captured' })
  }
  const coarse = await run.coarse()
  if (path.as === 'coarse') {
    for (const { entity = run.entity } of certain) {
      check(coarse.has(entity), `${name}: declared coarse, but no coarse change of ${entity} was emitted`)
    }
    return run.factory.found?.(name, { is: 'coarse' })
  }
  check(uncaptured !== undefined, `${name}: declared as not captured, but the subject has no 'uncaptured' to count it`)
  check(
    uncaptured > counted,
    `${name}: declared as not captured, but it was not counted either: it would be missed silently`,
  )
  checkEqual(run.batches, [], `${name}: declared as not captured, but emitted`)
  run.factory.found?.(name, { is: 'notCaptured', reason: path.as.notCaptured })
}
