import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { ReplyMessage } from '@rtapi/core/protocol'
import type { BoardLine } from '../../board/src/board-line.ts'
import type { RequestFields } from './wire-client.ts'

/** What `curl` got: the status and the reply, which has no id. */
export interface CurlAnswer {
  readonly status: number
  readonly reply: ReplyMessage
}

/** Runs one action of a resource by a process of `curl`, without a session. */
export async function curl(
  { poll }: BoardLine,
  [resource, action, { key, ...body }]: readonly [resource: string, action: string, fields: RequestFields],
  token?: string,
): Promise<CurlAnswer> {
  const path = [resource, action, ...(key === undefined ? [] : [key].flat())].map((part) => encodeURIComponent(part))
  const options = {
    header: ['content-type: application/json', ...(token === undefined ? [] : [`authorization: Bearer ${token}`])],
    data: [JSON.stringify(body)],
    'max-time': ['20'],
    'write-out': ['%{http_code}'],
  }
  const flags = Object.entries(options).flatMap(([name, values]) => values.flatMap((value) => [`--${name}`, value]))
  const url = `${poll}/${path.join('/')}`
  const { stdout } = await promisify(execFile)('curl', ['--silent', '--show-error', ...flags, url])
  const end = stdout.lastIndexOf('\n')
  return { status: Number(stdout.slice(end + 1)), reply: JSON.parse(stdout.slice(0, end)) as ReplyMessage }
}
