import type { Browser, Locator, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { buildPage, openWindow, signInAs, startBrowser } from '../src/browser.ts'
import { rowsOfPage } from '../src/matrix.ts'
import { create, remove } from '../src/stage.ts'
import { connectOver } from '../src/transports.ts'
import { type World, startWorld } from '../src/world.ts'

// Processes and a browser take their time where many tests run at once.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 120_000 })

let browser: Browser

beforeAll(async () => {
  await buildPage()
  browser = await startBrowser()
})

afterAll(() => browser.close())

function card(page: Page, column: 'Open' | 'Doing', title: string): Locator {
  return page.getByRole('region', { name: column }).getByRole('listitem').filter({ hasText: title })
}

describe.each(rowsOfPage())('$layer, $orm, $database', (row) => {
  let world: World
  beforeAll(async () => {
    world = await startWorld(row)
  })
  afterAll(() => world.stop())

  test('two windows of Chromium, each at its own board, see what the other does and may see', async () => {
    const root = await connectOver('ws', world.node(0).line, world.token('root'))
    const projectId = await create(root, 'projects', { name: 'Shared', public: true })
    const membership = { projectId, userId: world.userId('alice') }
    await create(root, 'memberships', membership)
    await create(root, 'memberships', { ...membership, userId: world.userId('bob') })

    const windows = [
      await openWindow(browser, world.node(0).line.http),
      await openWindow(browser, world.node(1).line.http),
    ]
    const [alice, bob] = windows.map(({ page }) => page) as [Page, Page]
    for (const page of [alice, bob]) {
      page.setDefaultTimeout(20_000)
      await page.getByRole('heading', { name: 'Shared' }).waitFor()
    }
    await signInAs(alice, 'alice')
    await signInAs(bob, 'bob')
    const input = alice.getByRole('textbox', { name: 'New task in Open' })
    await input.fill('Paint')
    await input.press('Enter')
    await card(bob, 'Open', 'Paint').waitFor()
    await bob.getByRole('button', { name: 'Move Paint' }).press('ArrowRight')
    await card(alice, 'Doing', 'Paint').waitFor()

    const hidden = await create(root, 'projects', { name: 'Hidden' })
    const link = bob.getByRole('link', { name: 'Hidden' })
    const joined = await create(root, 'memberships', { projectId: hidden, userId: world.userId('bob') })
    await link.waitFor()
    expect(await alice.getByRole('link', { name: 'Hidden' }).count()).toBe(0)
    await remove(root, 'memberships', joined)
    await link.waitFor({ state: 'detached' })

    await alice.getByRole('button', { name: 'Sign out' }).click()
    await alice.getByRole('button', { name: 'Sign in' }).waitFor()
    await card(alice, 'Doing', 'Paint').waitFor()
    expect(windows.flatMap(({ complaints }) => complaints)).toEqual([])
    await Promise.all([root.close(), ...windows.map((window) => window.close())])
  })
})
