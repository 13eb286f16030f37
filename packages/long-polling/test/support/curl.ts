import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** What curl has got, byte for byte. */
export interface CurlAnswer {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly json: unknown
}

/** Runs the real curl, which sends a POST unless told otherwise. */
export async function curl(url: string, ...options: readonly string[]): Promise<CurlAnswer> {
  const always = ['--silent', '--show-error', '--include', '--request', 'POST', '--max-time', '60']
  const { stdout } = await promisify(execFile)('curl', [...always, ...options, url])
  // A server may say 100 first.
  const answer = stdout.replace(/^HTTP\/1\.1 100 [^]*?\r\n\r\n/, '')
  const end = answer.indexOf('\r\n\r\n')
  const [first = '', ...lines] = answer.slice(0, end).split('\r\n')
  const headers = lines.map((line) => [line.split(':')[0]?.toLowerCase(), line.slice(line.indexOf(':') + 2)])
  const body = answer.slice(end + 4)
  return {
    status: Number(first.split(' ')[1]),
    headers: Object.fromEntries(headers) as Record<string, string>,
    body,
    json: body.startsWith('{') ? JSON.parse(body) : undefined,
  }
}
