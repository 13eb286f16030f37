// Starts one of the apps from its sources.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { installDebianPackages } from './debian-packages.mjs'
import { exclusively } from './exclusive.mjs'
import { npmCommand, root, runOrThrow, runScript } from './process.mjs'

/** Builds the page of the app, if it has one, then runs its src/main.ts and resolves with its exit code. */
export async function runApp(name, flags) {
  const main = join(folderOf(name), 'src', 'main.ts')
  if (!existsSync(main)) throw new Error(`There is no app "${name}": ${relative(root, main)} does not exist.`)
  await installWhatRuns(name, flags)
  await buildPage(name)
  return runScript(main, flags)
}

/** A cluster without a given Redis starts one of its own. */
async function installWhatRuns(name, flags) {
  const given = (flag) => flags.some((word) => word === flag || word.startsWith(`${flag}=`))
  if (name === 'board' && given('--nodes') && !given('--layer')) await installDebianPackages(['redis-server'])
}

function folderOf(name) {
  return join(root, 'apps', name)
}

/** Builds the page of an app, if it has one and something changed: it is served by other processes while this one starts. */
export async function buildPage(name) {
  const folder = folderOf(name)
  const { scripts = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  if (!scripts['page:build']) return
  const stamp = join(folder, 'dist-page', '.built-from')
  await exclusively(async () => {
    const sources = digest([folder, join(root, 'packages', 'client'), join(root, 'packages', 'core')])
    if (existsSync(stamp) && readFileSync(stamp, 'utf8') === sources) return
    console.error(`building the page of ${name} …`)
    const command = [...npmCommand(), 'run', '--workspace', `apps/${name}`, 'page:build']
    await runOrThrow(command, `Building the page of ${name}`, { stdout: 'stderr' })
    writeFileSync(stamp, sources)
  })
}

function digest(folders) {
  const hash = createHash('sha256').update(readFileSync(join(root, 'package-lock.json')))
  for (const folder of folders) {
    for (const file of sourceFiles(folder)) hash.update(relative(root, file)).update('\0').update(readFileSync(file))
  }
  return hash.digest('hex')
}

function sourceFiles(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => !['node_modules', 'dist', 'dist-page', 'test', '.turbo'].includes(entry.name))
    .flatMap((entry) => {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) return sourceFiles(path)
      return /\.(ts|tsx|css|html|svg|json)$/.test(entry.name) ? [path] : []
    })
    .sort((a, b) => (a < b ? -1 : 1))
}
