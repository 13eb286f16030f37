import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type Browser, type Page, chromium } from 'playwright-core'
import { io } from 'socket.io-client'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

// A browser takes its time where many tests run at once.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const app = fileURLToPath(new URL('..', import.meta.url))
let server: ChildProcess
let browser: Browser
let url: string

beforeAll(async () => {
  server = spawn(process.execPath, ['--conditions=rtapi-source', 'src/main.ts', '--port', '0'], {
    cwd: app,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(server.stdout ?? server, 'data')) as [Buffer]
  url = (JSON.parse(line.toString()) as { http: string }).http
  browser = await chromium.launch({
    executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-sync'],
  })
})

afterAll(async () => {
  await browser.close()
  server.kill('SIGTERM')
  expect(await once(server, 'exit')).toEqual([0, null])
})

/** A window of somebody, or of nobody yet. */
async function window(name?: string): Promise<Page> {
  const page = await browser.newPage()
  await page.goto(url)
  if (name === undefined) return page
  await page.getByRole('textbox', { name: 'Your name' }).fill(name)
  await page.keyboard.press('Enter')
  await page.getByText(`you are ${name}`).waitFor()
  return page
}

async function say(page: Page, text: string): Promise<void> {
  await page.getByRole('textbox', { name: 'Message' }).fill(text)
  await page.keyboard.press('Enter')
}

const lines = (page: Page): Promise<string[]> => page.getByRole('listitem').allInnerTexts()

test('everybody sees what is said to all, and the two alone what is whispered', async () => {
  const [ann, bob, eve] = [await window('ann'), await window('bob'), await window()]
  await say(ann, 'hello everybody')
  for (const page of [ann, bob, eve]) await page.getByText('hello everybody').waitFor()
  await say(ann, '/w bob the secret')
  await bob.getByText('the secret').waitFor()
  await say(bob, 'hello ann')
  await eve.getByText('hello ann').waitFor()
  expect(await eve.content()).not.toContain('the secret')
  expect(await lines(bob)).toHaveLength(3)

  await ann.getByRole('button', { name: 'Delete "hello everybody"' }).click()
  await eve.getByText('hello everybody').waitFor({ state: 'detached' })
  expect(await bob.getByRole('button', { name: /Delete/ }).count()).toBe(1)
  await Promise.all([ann, bob, eve].map((page) => page.close()))
})

test('a window that was cut off goes on, with what was said meanwhile and no message twice', async () => {
  const [ann, bob] = [await window('ann'), await window('bob')]
  await say(bob, 'before the cut')
  await ann.getByText('before the cut').waitFor()
  await ann.context().setOffline(true)
  await ann.evaluate('socket.io.engine.close()')
  await ann.getByText('reconnecting').waitFor()
  await say(bob, 'during the cut')
  await ann.context().setOffline(false)
  await ann.getByText('during the cut').waitFor()
  expect((await lines(ann)).filter((line) => line.includes('the cut'))).toHaveLength(2)
  await Promise.all([ann, bob].map((page) => page.close()))
})

test('nobody speaks for another, and what is refused is said', async () => {
  const page = await window('ann')
  await say(page, '/w Not*a*name hello')
  await page.getByRole('alert').getByText('expected a to z').waitFor()
  await page.close()

  const socket = io(url, { transports: ['websocket'] })
  await once(socket as unknown as EventTarget & NodeJS.EventEmitter, 'connect')
  const reply = new Promise<unknown>((resolve) => {
    socket.on('rtapi', (frame: string) => {
      for (const message of [JSON.parse(frame) as { type: string }].flat())
        if (message.type === 'reply') resolve(message)
    })
  })
  const data = { text: 'as ann', author: 'ann' }
  const request = { type: 'request', id: '1', resource: 'messages', action: 'create', data }
  socket.emit('rtapi', JSON.stringify([{ type: 'hello', versions: [1], token: 'eve' }, request]))
  expect(await reply).toMatchObject({ ok: false, error: { code: 'invalid' } })
  socket.close()
})
