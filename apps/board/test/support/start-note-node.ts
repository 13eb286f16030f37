import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { NoteAnswer, NoteNodeOptions, NoteOrder } from './note-node.ts'

const program = fileURLToPath(new URL('note-node.ts', import.meta.url))

/** A process that writes notes. */
export interface NoteNode {
  /** Tells it something, and does not wait. */
  tell(order: NoteOrder): void
  /** Waits until it has said that it is done with an order of this type. @throws Error if it failed, or the process ended. */
  done(type: NoteAnswer['done']): Promise<void>
  /** `kill -9`. */
  kill(): Promise<void>
}

/** Starts a process that writes notes, and waits until it is ready. */
export async function startNoteNode(options: NoteNodeOptions): Promise<NoteNode> {
  const child = fork(program, [JSON.stringify(options)], {
    execArgv: ['--conditions=rtapi-source', '--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const killWithThis = () => void child.kill('SIGKILL')
  process.on('exit', killWithThis)
  const answers: NoteAnswer[] = []
  child.on('message', (answer) => answers.push(answer as NoteAnswer))
  const node: NoteNode = {
    tell: (order) => void child.send(order),
    async done(type) {
      for (;;) {
        const at = answers.findIndex((answer) => answer.done === type)
        const [found] = at === -1 ? [] : answers.splice(at, 1)
        if (found?.error !== undefined) throw new Error(found.error)
        if (found !== undefined) return
        await next(child)
      }
    },
    async kill() {
      process.off('exit', killWithThis)
      if (child.exitCode !== null || child.signalCode !== null) return
      const exit = once(child, 'exit')
      child.kill('SIGKILL')
      await exit
    },
  }
  await node.done('ready')
  return node
}

/** Waits for the next message. */
async function next(child: ChildProcess): Promise<void> {
  const ended = new AbortController()
  try {
    await Promise.race([
      once(child, 'message', { signal: ended.signal }),
      once(child, 'exit', { signal: ended.signal }).then(() => Promise.reject(new Error('the process has ended'))),
    ])
  } finally {
    ended.abort()
  }
}
