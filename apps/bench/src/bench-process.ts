import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { availableParallelism } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

interface Call {
  readonly id: number
  readonly command: string
  readonly args: readonly unknown[]
}

interface Answer {
  readonly id: number
  readonly result?: unknown
  readonly error?: string
}

/** A process of the benchmark and the way to call its commands. */
export interface BenchProcess<C> {
  readonly commands: C
  stop(): Promise<void>
}

/** Whether processes can be tied to a core each. */
export const pinning: boolean = availableParallelism() > 1 && isInPath('taskset')

/** The core of the servers, and of the Redis between them; and that of the clients. */
export const SERVER_CORE = 0
export const LOAD_CORE = 1

/** Starts one of our files as a process of its own, on the given core if that can be chosen. */
export function startProcess<C extends object>(file: URL, core: number): BenchProcess<C> {
  const node = [process.execPath, '--expose-gc', '--conditions=rtapi-source', fileURLToPath(file)]
  const [program = '', ...args] = pinning ? ['taskset', '-c', String(core), ...node] : node
  const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const waiting = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>()
  child.on('message', (answer: Answer) => {
    const call = waiting.get(answer.id)
    waiting.delete(answer.id)
    if (answer.error === undefined) call?.resolve(answer.result)
    else call?.reject(new Error(answer.error))
  })
  child.once('exit', (code) => {
    for (const call of waiting.values()) call.reject(new Error(`${file.pathname} ended with code ${code}`))
  })
  let calls = 0
  const commands = new Proxy({} as C, {
    get:
      (_target, command: string) =>
      (...args: readonly unknown[]): Promise<unknown> =>
        new Promise((resolve, reject) => {
          const id = ++calls
          waiting.set(id, { resolve, reject })
          child.send({ id, command, args } satisfies Call)
        }),
  })
  return { commands, stop: () => stop(child) }
}

function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((resolve) => {
    child.once('exit', () => resolve())
    // It ends by itself then.
    child.disconnect()
  })
}

/** The other end: answers calls with these commands. The process ends with its parent. */
export function answerCalls(commands: object): void {
  process.on('disconnect', () => process.exit())
  process.on('message', (call: Call) => {
    void answer(new Map(Object.entries(commands)), call)
  })
}

async function answer(commands: ReadonlyMap<string, unknown>, { id, command, args }: Call): Promise<void> {
  try {
    const run = commands.get(command) as (...args: readonly unknown[]) => Promise<unknown>
    const result = await run(...args)
    process.send?.({ id, result } satisfies Answer)
  } catch (error) {
    process.send?.({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  }
}

function isInPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
