// Writes the tables of docs/write-paths.md from a run of the suite: `npm run docs:write-paths`.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type PathFinding, type PathFindings, pathTable } from '@rtapi/testing'
import { root } from '../workspace.ts'
import { type DocumentedName, documented, pageFile, tablePattern } from './documented.ts'
import { FINDINGS_FOLDER, findingsFile } from './findings-folder.ts'

const folder = join(root, '.rtapi', 'path-findings')
await rm(folder, { recursive: true, force: true })

const names = Object.keys(documented) as DocumentedName[]
const files = names.flatMap((name) => documented[name].files.map((file) => `packages/${name}/test/${file}.test.ts`))
await execute('vitest', ['run', '--project', 'node', ...files], { [FINDINGS_FOLDER]: folder })

let page = await readFile(pageFile, 'utf8')
for (const name of names) {
  const { runs, titles } = documented[name]
  const columns: Record<string, PathFindings> = {}
  for (const [run, heading] of Object.entries(runs)) columns[heading] = await findingsOf(name, run)
  if (!tablePattern(name).test(page)) throw new Error(`${pageFile} has no place for the table '${name}'`)
  page = page.replace(tablePattern(name), () => `\n${pathTable(columns, titles)}\n`)
}
await writeFile(pageFile, page)
await execute('oxfmt', [pageFile])

async function findingsOf(name: DocumentedName, run: string): Promise<PathFindings> {
  const file = findingsFile(folder, name, run)
  if (!existsSync(file)) throw new Error(`${name} was not tried on ${run}: is that database installed?`)
  return new Map(JSON.parse(await readFile(file, 'utf8')) as [string, PathFinding][])
}

async function execute(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const child = spawn(join(root, 'node_modules', '.bin', command), args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  })
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`${command} ended with ${code}: the page is as it was`)
}
