import { fileURLToPath } from 'node:url'
import { type BoardProcess, startBoard } from '../board-process.ts'

/** Starts a board that lets one client ask as often as it wants. @param env - `HURRY`: how many times as fast its time is. */
export function startAttackedBoard(
  flags: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<BoardProcess> {
  return startBoard(flags, env, fileURLToPath(new URL('attacked-board.ts', import.meta.url)))
}
