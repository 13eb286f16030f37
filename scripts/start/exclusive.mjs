// One process at a time installs and builds: two boards that start together must not overwrite each other's files.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { root } from './process.mjs'

const folder = join(root, '.rtapi')
const file = join(folder, 'lock')

/** Runs `work` while no other process of this checkout runs its own. A lock whose process is gone is taken over. */
export async function exclusively(work) {
  mkdirSync(folder, { recursive: true })
  for (let waited = false; !take(); waited = true) {
    if (!waited) console.error('waiting for another process that installs or builds …')
    await delay(200)
  }
  const release = () => rmSync(file, { force: true })
  process.once('exit', release)
  try {
    return await work()
  } finally {
    process.off('exit', release)
    release()
  }
}

function take() {
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
  }
  if (!isHeld()) rmSync(file, { force: true })
  return false
}

function isHeld() {
  try {
    const holder = readFileSync(file, 'utf8')
    // Empty: its owner has made the file and is about to write its number.
    if (holder !== '') process.kill(Number(holder), 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}
