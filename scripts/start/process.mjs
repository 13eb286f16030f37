// Child processes: where they run, with which Node, and how they hear of signals.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))
const bin = join(root, 'node_modules', '.bin')

/** The Node of node_modules; on a platform for which there is none, the running one if it can run TypeScript. */
function projectNode() {
  const installed = join(bin, 'node')
  if (existsSync(installed)) return installed
  if (process.features.typescript) return process.execPath
  throw new Error(
    `node_modules holds no Node for ${process.platform}-${process.arch}, and Node ${process.versions.node} cannot run ` +
      'TypeScript: use Node >= 22.18.',
  )
}

/** npm as this process was started by, or the one of the PATH. */
export function npmCommand() {
  const path = process.env.npm_execpath
  return path?.endsWith('.js') ? [process.execPath, path] : ['npm']
}

/**
 * Runs a command in the root folder, with node_modules/.bin first in its PATH, and resolves with its exit code.
 * SIGTERM, SIGINT and SIGHUP are passed on to it, each once: Ctrl-C reaches this process through npm a second time.
 * `stdout: 'stderr'` keeps its output off the standard output.
 */
export function run([command, ...args], { stdout = 'inherit', env = {} } = {}) {
  const { npm_config_loglevel: _silent, ...inherited } = process.env
  const child = spawn(command, args, {
    cwd: root,
    stdio: ['inherit', stdout === 'stderr' ? 2 : 'inherit', 'inherit'],
    env: { ...inherited, PATH: `${bin}${delimiter}${process.env.PATH}`, ...env },
  })
  const undo = forwardSignals(child)
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      undo()
      reject(new Error(`${command} could not be started: ${error.message}`))
    })
    child.once('exit', (code, signal) => {
      undo()
      resolve(code ?? 128 + constants.signals[signal])
    })
  })
}

/** Runs a TypeScript file on the sources of the packages, as `run` does. */
export function runScript(file, flags) {
  return run([projectNode(), '--conditions=rtapi-source', file, ...flags])
}

/** As `run`, but a failure is thrown: `what` says in a few words what was being done. */
export async function runOrThrow(command, what, options) {
  const code = await run(command, options)
  if (code !== 0) throw new Error(`${what} failed with exit code ${code}: ${command.join(' ')}`)
}

function forwardSignals(child) {
  const seen = new Set()
  const forward = (signal) => {
    if (seen.has(signal)) return
    seen.add(signal)
    child.kill(signal)
  }
  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP']
  for (const signal of signals) process.on(signal, forward)
  return () => {
    for (const signal of signals) process.off(signal, forward)
  }
}
