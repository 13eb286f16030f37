import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type BlockingProxy, startBlockingProxy } from '../../e2e/src/blocking-proxy.ts'
import { type BoardProcess, startBoard } from '../../e2e/src/board-process.ts'
import { buildPage, openWindow, signInAs, startBrowser } from '../../e2e/src/browser.ts'
import { type TestDatabase, newDatabase } from '../../e2e/src/databases.ts'

// A browser takes its time where many tests run at once.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 })

let board: BoardProcess
let browser: Browser
let database: TestDatabase
let proxy: BlockingProxy

beforeAll(async () => {
  await buildPage()
  database = await newDatabase('sqlite')
  board = await startBoard(['--db', database.url])
  proxy = await startBlockingProxy(board.line.http)
  browser = await startBrowser()
})

afterAll(async () => {
  await browser.close()
  await proxy.close()
  await board.stop()
  await database.remove()
})

async function addTask(page: Page, title: string): Promise<void> {
  const input = page.getByRole('textbox', { name: 'New task in Open' })
  await input.fill(title)
  await input.press('Enter')
}

const task = (page: Page, title: string) => page.getByRole('listitem').filter({ hasText: title })

/** Does what a browser says when its network is another: nobody has to wait for the next try. */
const networkChanged = (page: Page): Promise<boolean> => page.evaluate(() => dispatchEvent(new Event('online')))

test('where WebSockets are blocked the page polls, says so, and comes back when they are not', async () => {
  proxy.block()
  const [behind, free] = [await openWindow(browser, proxy.url), await openWindow(browser, board.line.http)]
  const [alice, bob] = [behind.page, free.page]
  for (const page of [alice, bob]) page.setDefaultTimeout(20_000)
  const badge = alice.getByRole('status')
  await badge.getByText('by polling').waitFor()
  await badge.getByText('live', { exact: true }).waitFor()
  await alice.getByRole('heading', { name: 'Garden day' }).waitFor()
  await signInAs(alice, 'alice')
  await signInAs(bob, 'bob')
  await bob.getByRole('link', { name: 'Garden day' }).click()
  await addTask(alice, 'From behind')
  await task(bob, 'From behind').waitFor()
  await addTask(bob, 'From outside')
  await task(alice, 'From outside').waitFor()
  expect(await bob.getByText('by polling').count()).toBe(0)

  proxy.unblock()
  await networkChanged(alice)
  await badge.getByText('by WebSocket again').waitFor()
  await addTask(bob, 'After the change')
  await task(alice, 'After the change').waitFor()
  await task(alice, 'From behind').waitFor()

  proxy.block()
  await badge.getByText('by polling').waitFor()
  await addTask(bob, 'Blocked in the midst')
  await task(alice, 'Blocked in the midst').waitFor()
  await alice.getByRole('button', { name: 'Sign out' }).click()
  await alice.getByRole('button', { name: 'Sign in' }).waitFor()
  await badge.getByText('by polling').waitFor()

  // That a WebSocket was refused, Chromium says by itself.
  expect(behind.complaints.filter((text) => !text.includes('WebSocket'))).toEqual([])
  expect(free.complaints).toEqual([])
})
