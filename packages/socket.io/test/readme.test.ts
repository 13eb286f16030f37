import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'
import { RawSocket } from './raw-client.ts'
import { listenOn } from './server.ts'
import './harness.ts'

const readme = readFileSync(resolve(import.meta.dirname, '../README.md'), 'utf8')
// Inside the package, so that the example finds what the package finds.
const folder = resolve(import.meta.dirname, '../.rtapi')

/** Writes an example of the README as it stands there, and runs it as its reader would. */
function run(name: string, environment: Readonly<Record<string, string>>): ChildProcess {
  const [, code] = new RegExp(`^\`\`\`ts file=${name}\\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(readme) ?? []
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, name), code ?? expect.fail(`the README has no ${name}`))
  const child = spawn(process.execPath, ['--conditions=rtapi-source', join(folder, name)], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(async () => {
    if (child.exitCode === null && child.kill('SIGKILL')) await once(child, 'exit')
  })
  return child
}

test('the server and the client of the README work as they stand there', async () => {
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const { port, stop } = await listenOn(createServer())
  stop()
  run('server.ts', { PORT: String(port) })
  for (let isUp = false; !isUp;)
    isUp = await RawSocket.open(port).then(
      () => true,
      () => new Promise((resolve) => setTimeout(resolve, 20, false)),
    )

  const client = run('client.ts', { SERVER: `http://127.0.0.1:${port}` })
  const seen: string[] = []
  for await (const line of createInterface({ input: client.stdout ?? expect.fail() })) {
    const [, type] = /^ {0,2}(?:\{ )?type: '(\w+)'/.exec(line) ?? []
    if (type !== undefined) seen.push(type)
    if (type === 'reply' || type === 'goodbye') break
  }
  expect(seen).toEqual(['welcome', 'snapshot', 'changes', 'reply'])
})
