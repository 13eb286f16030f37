import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'
import type { CrashTask } from './crash-task.ts'
import { until } from './until.ts'

/** A process of its own, to be killed. */
export interface DoomedProcess {
  /** What it has said so far. */
  readonly lines: readonly string[]
  /** Waits until it has said this so many times. */
  said(line: string, times?: number): Promise<void>
  /** `kill -9`, and waits until it is gone. */
  kill(): Promise<void>
}

/** Starts one; it does not outlive the test. */
export function startDoomed(task: CrashTask): DoomedProcess {
  const script = join(import.meta.dirname, 'crash-process.ts')
  const child = spawn(process.execPath, ['--conditions=rtapi-source', script, JSON.stringify(task)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines: string[] = []
  createInterface({ input: child.stdout }).on('line', (line) => void lines.push(line))
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.kill('SIGKILL')
    await exit
  }
  onTestFinished(kill)
  return {
    lines,
    kill,
    async said(line, times = 1) {
      await until(`'${line}' from ${JSON.stringify(task).slice(0, 80)}`, () => {
        if (child.exitCode !== null) throw new Error(`the process has ended with ${child.exitCode}`)
        return lines.filter((said) => said === line).length >= times
      })
    },
  }
}
