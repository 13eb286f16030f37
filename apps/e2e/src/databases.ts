import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { lend } from '../../../test/services/lend.ts'
import { temporaryFolder } from './board-process.ts'

export type DatabaseKind = 'sqlite' | 'postgres' | 'mariadb'

/** Every ORM of the board on each database that it supports. */
export const setups = [
  ['mikro-orm', 'sqlite'],
  ['mikro-orm', 'postgres'],
  ['mikro-orm', 'mariadb'],
  ['sequelize', 'postgres'],
  ['sequelize', 'mariadb'],
] as const

/** A database of a test's own: what to give as `--db`, and its removal. */
export interface TestDatabase {
  readonly url: string
  remove(): Promise<void>
}

/**
 * Names a database that does not exist yet.
 * @throws Error if its server is not installed on this machine.
 */
export async function newDatabase(kind: DatabaseKind): Promise<TestDatabase> {
  if (kind === 'sqlite') {
    const folder = await temporaryFolder()
    return { url: `sqlite:${join(folder.path, 'board.sqlite')}`, remove: folder.remove }
  }
  const service = await lend(kind)
  if ('missing' in service) throw new Error(service.missing)
  // The server and all that is in it go away with the run.
  return { url: `${service.url}/board_${randomUUID().replaceAll('-', '')}`, remove: async () => undefined }
}
