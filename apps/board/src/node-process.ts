import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { BoardLine } from './board-line.ts'

/** Milliseconds within which a node that was told to end does, or is ended. */
const patience = 28_000

const main = fileURLToPath(new URL('main.ts', import.meta.url))

/** One board of a cluster, in a process of its own. */
export interface NodeProcess {
  readonly pid: number
  /** Rejects if it ends before it is ready. */
  readonly line: Promise<BoardLine>
  /** Its exit status, or the signal that ended it. */
  readonly ended: Promise<number | string>
  /** Tells it to end, if it has not, and answers how it did. */
  stop(): Promise<number | string>
}

/** Starts a board with these flags. It also ends if this process does. */
export function spawnNode(flags: readonly string[]): NodeProcess {
  const child = spawn(process.execPath, [...process.execArgv, main, ...flags], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  if (child.pid === undefined || child.stdout === null) throw new Error('a node could not be started')
  const ended = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | string)
  const line = Promise.race([
    once(createInterface({ input: child.stdout }), 'line').then(([text]) => JSON.parse(String(text)) as BoardLine),
    ended.then((end) => Promise.reject(new Error(`a node ended with ${end} before it was ready`))),
  ])
  // Whoever waits for it is told; that nobody does is no error.
  line.catch(() => undefined)
  return {
    pid: child.pid,
    line,
    ended,
    async stop() {
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), patience)
      try {
        return await ended
      } finally {
        clearTimeout(timer)
      }
    },
  }
}
