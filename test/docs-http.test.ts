import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { errorCodes } from '@rtapi/core'
import type { HttpHandler } from '@rtapi/long-polling'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { textOf, writeExamples } from './docs-examples.ts'

/** What a page tells its readers to type, and what it says will come. */
interface Command {
  readonly script: string
  readonly language: string | undefined
  readonly output: string
}

const page = 'docs/http.md'
const ADDRESS = 'http://127.0.0.1:3000'

const commands: readonly Command[] = [
  ...textOf(page).matchAll(/^```sh\n([^]*?)^```\n(?:\n```(json|text)\n([^]*?)^```\n)?/gm),
].map(([, script = '', language, output = '']) => ({ script, language, output }))

let server: Server
let handler: HttpHandler
let address: string
const children: ChildProcess[] = []

beforeAll(async () => {
  const file = join(writeExamples('docs-http'), 'docs/http/server.ts')
  ;({ server, handler } = (await import(file)) as { server: Server; handler: HttpHandler })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterAll(async () => {
  for (const child of children) child.kill()
  await handler.close({ timeout: 0 })
  server.closeAllConnections()
  server.close()
})

/** Runs a script until its output is enough, or it ends. */
async function outputOf(script: string, isEnough: (output: string) => boolean): Promise<string> {
  // What a reader would see: without the meter that curl draws where its output is no terminal.
  const quiet = script.replaceAll(ADDRESS, address).replaceAll('curl ', 'curl --silent ')
  const child = spawn('bash', ['-c', `exec 2>&1; ${quiet}`], { stdio: ['ignore', 'pipe', 'inherit'], detached: true })
  children.push(child)
  let output = ''
  for await (const chunk of child.stdout) {
    output += String(chunk)
    if (isEnough(output)) break
  }
  if (child.pid !== undefined && child.exitCode === null) {
    try {
      process.kill(-child.pid)
    } catch {
      // It has ended by itself.
    }
  }
  return output
}

/** Text in which `…` stands for anything. */
function patternOf(text: string): RegExp {
  return new RegExp(
    text
      .trim()
      .split('…')
      .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`))
      .join('[^]*?'),
  )
}

test('there are commands, and most say what will come', () => {
  expect(commands.length).toBeGreaterThan(8)
  expect(commands.filter(({ language }) => language === undefined).length).toBeLessThan(2)
})

test('the table of statuses has every error code', () => {
  const table = textOf(page).replaceAll(/ +/g, ' ')
  for (const [code, { status }] of Object.entries(errorCodes)) expect(table).toContain(`| ${status} | \`${code}\` |`)
})

// In order: what one creates, the next one finds.
test.each(commands.map((command) => [command.script.split('\n')[0], command] as const))(
  '%s',
  async (_line, { script, language, output }) => {
    const pattern = language === 'json' ? patternOf(JSON.stringify(JSON.parse(output))) : patternOf(output)
    const found = await outputOf(script, (text) => script.includes('--no-buffer') && pattern.test(text))
    expect(found).toMatch(language === undefined ? /^\{"type":"reply","ok":true,/ : pattern)
  },
  60_000,
)
