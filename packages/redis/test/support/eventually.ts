import { vi } from 'vitest'

/**
 * For what happens in other processes: looks again and again until the check passes. The deadline is that of a machine
 * which is busy with other things; nothing waits for it that is right.
 */
export function eventually<T>(check: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(check, { timeout: 30_000, interval: 10 })
}

/** Tests that start servers have time for it on a machine that is busy. Called at the head of a file. */
export function allowForBusyMachine(): void {
  vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })
}
