import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll } from 'vitest'
import type { BoardLine } from '../../board/src/board-line.ts'

const main = fileURLToPath(new URL('../../board/src/main.ts', import.meta.url))

/** A board that runs in a process of its own. */
export interface BoardProcess {
  readonly line: BoardLine
  readonly pid: number
  /** Resolves with the exit code, `null` if a signal killed it. */
  readonly exited: Promise<number | null>
  /** All that it has written to standard output and standard error so far. */
  readonly output: { readonly stdout: string; readonly stderr: string }
  /** Sends a signal and resolves with the exit code, `null` if the signal killed it. */
  stop(signal?: 'SIGTERM' | 'SIGINT' | 'SIGKILL'): Promise<number | null>
  /** Signs in and answers the token. */
  login(name: string, password?: string): Promise<string>
}

/**
 * Starts a board with these flags on a free port and waits until it is ready.
 * @param env - beside the environment of this process.
 * @param program - what is run in place of the board's own.
 */
export async function startBoard(
  flags: readonly string[],
  env: Readonly<Record<string, string>> = {},
  program: string = main,
): Promise<BoardProcess> {
  const { child, output, exited } = run(['--port', '0', ...flags], env, program)
  const line = await Promise.race([
    firstLine(child),
    exited.then((code) => Promise.reject(new Error(`the board ended with ${code}:\n${output.stderr}`))),
  ])
  const board: BoardProcess = {
    line: JSON.parse(line) as BoardLine,
    pid: child.pid ?? 0,
    exited,
    output,
    stop(signal = 'SIGTERM') {
      child.kill(signal)
      return exited
    },
    async login(name, password = 'pw') {
      const response = await postJson(`${board.line.http}/login`, { name, password })
      if (response.status !== 200) throw new Error(`login as ${name}: ${response.status} ${await response.text()}`)
      return ((await response.json()) as { token: string }).token
    },
  }
  return board
}

/** Runs a board that is expected to end by itself. @param env - beside the environment of this process. */
export async function runBoard(
  flags: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const { output, exited } = run(flags, env)
  const code = await exited
  return { code, ...output }
}

/** Posts JSON as a page of the board would. */
export function postJson(
  url: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
}

/** A folder that is removed by the returned undo. */
export async function temporaryFolder(): Promise<{ readonly path: string; readonly remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'rtapi-board-'))
  return { path, remove: () => rm(path, { recursive: true, force: true }) }
}

/** A test that fails must not leave a server behind. */
const running = new Set<ChildProcess>()
afterAll(() => {
  for (const child of running) child.kill('SIGKILL')
})

function run(flags: readonly string[], env: Readonly<Record<string, string>> = {}, program = main) {
  const child = spawn(process.execPath, ['--conditions=rtapi-source', program, ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text))
  running.add(child)
  const exited = once(child, 'close').then(([code]) => {
    running.delete(child)
    return code as number | null
  })
  return { child, output, exited }
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    child.stdout?.on('data', (chunk: string) => {
      text += chunk
      const end = text.indexOf('\n')
      if (end >= 0) resolve(text.slice(0, end))
    })
  })
}
