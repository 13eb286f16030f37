import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createClient } from '@rtapi/client'
import { type Browser, chromium } from 'playwright-core'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import type { api } from '../src/main.ts'

// A browser takes its time where many tests run at once.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const app = fileURLToPath(new URL('..', import.meta.url))
const vite = fileURLToPath(new URL('../../../node_modules/.bin/vite', import.meta.url))
let server: ChildProcess
let browser: Browser
let address: string

beforeAll(async () => {
  // The test runner's NODE_ENV would make it a page for development.
  const { NODE_ENV: _, ...env } = process.env
  await promisify(execFile)(vite, ['build', '--logLevel', 'error'], { cwd: app, env })
  server = spawn(process.execPath, ['--conditions=rtapi-source', 'src/main.ts'], {
    cwd: app,
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(server.stdout ?? server, 'data')) as [Buffer]
  address = new URL(line.toString().trim()).host
  browser = await chromium.launch({
    executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-sync'],
  })
})

afterAll(async () => {
  await browser.close()
  server.kill()
})

test('what one window writes appears in the other, and in a client of Node', async () => {
  const client = createClient<typeof api>({ url: `ws://${address}/rt` })
  const view = client.comments.live({ where: { topicId: 7 } })
  await view.ready
  const [one, other] = [await browser.newPage(), await browser.newPage()]
  await Promise.all([one.goto(`http://${address}`), other.goto(`http://${address}`)])

  await one.getByRole('textbox', { name: 'New comment' }).fill('hello')
  await one.keyboard.press('Enter')
  await other.getByRole('listitem').getByText('hello').waitFor()
  await expect.poll(() => view.rows).toMatchObject([{ topicId: 7, text: 'hello' }])

  await client.comments.create({ topicId: 8, text: 'elsewhere' })
  await client.comments.create({ topicId: 7, text: 'hello yourself' })
  await one.getByRole('listitem').getByText('hello yourself').waitFor()
  expect(await other.getByRole('listitem').allTextContents()).toEqual(['hello yourself', 'hello'])
  client.close()
})
