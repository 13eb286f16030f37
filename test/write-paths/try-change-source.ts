import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import {
  type ChangeSourceFactory,
  type PathFinding,
  type PathFindings,
  type ThingWriter,
  changeSourceSuite,
  pathTableProblems,
} from '@rtapi/testing'
import { expect, test } from 'vitest'
import { type DocumentedName, documented, pageFile, tablePattern } from './documented.ts'
import { FINDINGS_FOLDER, findingsFile } from './findings-folder.ts'

/** Makes tests of the suite of change sources, and one that the page of write paths says what they have found. */
export function tryChangeSource<W extends ThingWriter>(
  name: DocumentedName,
  run: string,
  factory: ChangeSourceFactory<W>,
): void {
  const findings = new Map<string, PathFinding>()
  const suite = changeSourceSuite({ ...factory, found: (path, finding) => void findings.set(path, finding) })
  for (const { name: title, run: body } of suite) test(title, body)

  test('is what docs/write-paths.md says', async () => {
    const folder = process.env[FINDINGS_FOLDER]
    if (folder === undefined) await checkPage(name, run, findings, Object.keys(factory.paths))
    else await leave(findingsFile(folder, name, run), findings)
  })
}

async function checkPage(
  name: DocumentedName,
  run: string,
  findings: PathFindings,
  paths: readonly string[],
): Promise<void> {
  const { runs, titles } = documented[name]
  const untried = Object.keys(titles).filter((path) => !paths.includes(path))
  expect(untried, 'test/write-paths/documented.ts has titles of paths that are not tried').toEqual([])
  const [table = ''] = tablePattern(name).exec(await readFile(pageFile, 'utf8')) ?? []
  // Not all are tried where somebody runs some of the tests.
  const complete = findings.size === paths.length
  const problems = pathTableProblems(table, runs[run] ?? '', findings, { titles, complete })
  expect(problems, 'docs/write-paths.md is stale: run `npm run docs:write-paths`').toEqual([])
}

async function leave(file: string, findings: PathFindings): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, JSON.stringify([...findings]))
}
