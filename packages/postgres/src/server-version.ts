import type { ClientBase } from 'pg'
import { SetupError } from './setup-error.ts'

const OLDEST = 14

/** @throws SetupError `unsupported` if the server is older than PostgreSQL 14. */
export async function requireVersion(client: ClientBase): Promise<void> {
  const { rows } = await client.query<{ number: number; name: string }>(
    `select current_setting('server_version_num')::int as number, current_setting('server_version') as name`,
  )
  const [version] = rows
  if (version === undefined || version.number >= OLDEST * 10_000) return
  throw new SetupError(
    'unsupported',
    `this needs PostgreSQL ${OLDEST} or newer; the server is PostgreSQL ${version.name}`,
  )
}
