// node_modules as package-lock.json wants it.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { exclusively } from './exclusive.mjs'
import { npmCommand, root, runOrThrow } from './process.mjs'

/** Runs `npm ci` unless node_modules already holds what package-lock.json names. Its output goes to standard error. */
export async function installNodePackages() {
  if (isInstalled()) return
  await exclusively(async () => {
    if (isInstalled()) return
    console.error('installing node packages …')
    const started = performance.now()
    const command = [...npmCommand(), 'ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund']
    await runOrThrow([...command, '--loglevel=error'], 'Installing the node packages', { stdout: 'stderr' })
    console.error(`installed node packages in ${((performance.now() - started) / 1000).toFixed(1)} s`)
  })
}

/** npm leaves a record of what it installed; it lacks only the optional packages of other platforms. */
function isInstalled() {
  const record = join(root, 'node_modules', '.package-lock.json')
  if (!existsSync(record)) return false
  const installed = packagesOf(record)
  for (const [path, { version, integrity, optional }] of Object.entries(packagesOf(join(root, 'package-lock.json')))) {
    if (!path.startsWith('node_modules/') && !path.includes('/node_modules/')) continue
    const found = installed[path]
    if (!found && !optional) return false
    if (found && (found.version !== version || found.integrity !== integrity)) return false
  }
  return true
}

function packagesOf(file) {
  return JSON.parse(readFileSync(file, 'utf8')).packages
}
