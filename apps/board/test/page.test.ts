import type { Browser, Locator, Page, WebSocketRoute } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { type BoardProcess, startBoard } from '../../e2e/src/board-process.ts'
import { type Window, buildPage, openWindow, signInAs, startBrowser } from '../../e2e/src/browser.ts'
import { type TestDatabase, newDatabase } from '../../e2e/src/databases.ts'

// A browser takes its time where many tests run at once.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let board: BoardProcess
let browser: Browser
let database: TestDatabase
let windows: Window[] = []

beforeAll(async () => {
  await buildPage()
  database = await newDatabase('sqlite')
  board = await startBoard(['--db', database.url])
  browser = await startBrowser()
})

afterAll(async () => {
  await browser.close()
  await board.stop()
  await database.remove()
})

afterEach(async () => {
  const complaints = windows.flatMap((window) => window.complaints)
  await Promise.all(windows.map((window) => window.close()))
  windows = []
  expect(complaints).toEqual([])
})

async function open(options: Parameters<typeof openWindow>[2] = {}): Promise<Page> {
  const window = await openWindow(browser, board.line.http, options)
  windows.push(window)
  window.page.setDefaultTimeout(15_000)
  await window.page.getByRole('heading', { name: 'Garden day' }).waitFor()
  return window.page
}

function column(page: Page, name: 'Open' | 'Doing' | 'Done'): Locator {
  return page.getByRole('region', { name })
}

function card(page: Page, state: 'Open' | 'Doing' | 'Done', title: string): Locator {
  return column(page, state).getByRole('listitem').filter({ hasText: title })
}

async function addTask(page: Page, title: string): Promise<void> {
  const input = page.getByRole('textbox', { name: 'New task in Open' })
  await input.fill(title)
  await input.press('Enter')
}

/** Moves the pointer as a hand does: down, a little, far, up. */
async function drag(page: Page, from: Locator, to: Locator): Promise<void> {
  const start = await from.boundingBox()
  const end = await to.boundingBox()
  if (start === null || end === null) throw new Error('what is dragged, and where to, must be visible')
  await page.mouse.move(start.x + 40, start.y + 10)
  await page.mouse.down()
  await page.mouse.move(start.x + 60, start.y + 20)
  await page.mouse.move(end.x + end.width / 2, end.y + 60, { steps: 4 })
  await page.mouse.up()
}

test('two windows see what the other does: create, drag, move by keyboard, delete', async () => {
  const [alice, bob] = [await open(), await open()]
  await signInAs(alice, 'alice')
  await signInAs(bob, 'bob')
  await bob.getByRole('link', { name: 'Garden day' }).click()

  await addTask(alice, 'Paint the bench')
  await card(bob, 'Open', 'Paint the bench').waitFor()

  await drag(alice, card(alice, 'Open', 'Paint the bench'), column(alice, 'Doing'))
  await card(alice, 'Doing', 'Paint the bench').waitFor()
  await card(bob, 'Doing', 'Paint the bench').waitFor()
  expect(await card(bob, 'Open', 'Paint the bench').count()).toBe(0)
  expect(new URL(alice.url()).hash, 'a drag is no click').not.toContain('tasks')

  const grip = bob.getByRole('button', { name: 'Move Paint the bench' })
  await grip.focus()
  await bob.keyboard.press('ArrowRight')
  await card(alice, 'Done', 'Paint the bench').waitFor()
  await card(bob, 'Done', 'Paint the bench').waitFor()
  expect(await grip.evaluate((element) => element === document.activeElement), 'the focus goes along').toBe(true)
  await bob.keyboard.press('ArrowLeft')
  await card(alice, 'Doing', 'Paint the bench').waitFor()

  await card(bob, 'Doing', 'Paint the bench').getByRole('link').click()
  await bob.getByRole('button', { name: 'Delete the task' }).click()
  await card(alice, 'Doing', 'Paint the bench').waitFor({ state: 'detached' })
})

test('a drag that is given up or ends nowhere moves nothing', async () => {
  const alice = await open()
  await signInAs(alice, 'alice')
  const cake = card(alice, 'Open', 'Cake for twenty')
  const box = await cake.boundingBox()
  if (box === null) throw new Error('the card must be visible')
  for (const giveUp of [() => alice.keyboard.press('Escape'), () => alice.mouse.move(400, 20)]) {
    await alice.mouse.move(box.x + 40, box.y + 10)
    await alice.mouse.down()
    await alice.mouse.move(700, 300, { steps: 3 })
    await alice.locator('.ghost').waitFor()
    await giveUp()
    await alice.mouse.up()
    await alice.locator('.ghost').waitFor({ state: 'detached' })
  }
  await cake.waitFor()
})

test('fields, notes and comments of an open task are live in both windows', async () => {
  const [alice, bob] = [await open(), await open()]
  await signInAs(alice, 'alice')
  await signInAs(bob, 'bob')
  await bob.getByRole('link', { name: 'Garden day' }).click()
  for (const page of [alice, bob]) await page.getByRole('link', { name: 'Repair the water barrel' }).click()
  const drawer = (page: Page): Locator => page.getByRole('dialog', { name: 'Repair the water barrel' })

  await drawer(alice).getByLabel('Points').fill('8')
  await drawer(alice).getByLabel('Points').press('Enter')
  await drawer(alice).getByLabel('Assignee').selectOption('carol')
  await drawer(alice).getByLabel('Notes').fill('It leaks at the bottom.')
  await drawer(alice).getByLabel('Notes').blur()
  await expect.poll(() => drawer(bob).getByLabel('Points').inputValue()).toBe('8')
  await expect.poll(() => drawer(bob).getByLabel('Notes').inputValue()).toBe('It leaks at the bottom.')
  await expect
    .poll(() =>
      drawer(bob)
        .getByLabel('Assignee')
        .evaluate((select: HTMLSelectElement) => select.selectedOptions[0]?.text),
    )
    .toBe('carol')

  await drawer(bob).getByRole('textbox', { name: 'New comment' }).fill('I have a spare tap.')
  await drawer(bob).getByRole('button', { name: 'Comment', exact: true }).click()
  await drawer(alice).getByText('I have a spare tap.').waitFor()
  expect(await drawer(alice).getByRole('button', { name: 'Delete the comment of bob' }).count()).toBe(0)
  await drawer(bob).getByRole('button', { name: 'Delete the comment of bob' }).click()
  await drawer(alice).getByText('I have a spare tap.').waitFor({ state: 'detached' })

  await alice.keyboard.press('Escape')
  await drawer(alice).waitFor({ state: 'detached' })
})

test('who is made a member sees the project at once, and no longer when removed', async () => {
  const [bob, carol] = [await open(), await open()]
  await signInAs(bob, 'bob')
  await signInAs(carol, 'carol')
  const link = carol.getByRole('link', { name: 'A present for Alice' })
  expect(await link.count()).toBe(0)
  await bob.getByRole('link', { name: 'A present for Alice' }).click()
  await bob.getByRole('button', { name: 'Members' }).click()
  await bob.getByRole('dialog').getByRole('button', { name: 'carol', exact: true }).click()
  await link.click()
  await card(carol, 'Open', 'Collect money').waitFor()
  await addTask(carol, 'Write a card')
  await card(bob, 'Open', 'Write a card').waitFor()
  await bob.getByRole('dialog').getByRole('button', { name: 'Remove carol' }).click()
  await link.waitFor({ state: 'detached' })
  await carol.getByText('There is no such project for you').waitFor()
})

test('who is not signed in reads, sees no notes and has nothing to write with', async () => {
  const page = await open()
  await page.getByRole('link', { name: 'Draw the plan of the beds' }).click()
  const drawer = page.getByRole('dialog', { name: 'Draw the plan of the beds' })
  await drawer.getByText('Leave a path wide enough').waitFor()
  expect(await drawer.getByLabel('Notes').count()).toBe(0)
  expect(await drawer.getByRole('button').allTextContents()).toEqual(['✕'])
  expect(await page.getByRole('button', { name: /^Move/ }).count()).toBe(0)
  expect(await page.getByRole('textbox', { name: /^New/ }).count()).toBe(0)
})

test('a wrong password is told, signing out ends the session, and a reload keeps it', async () => {
  const page = await open()
  await page.getByRole('button', { name: 'Sign in' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Name').fill('alice')
  await dialog.getByLabel('Password').fill('wrong')
  await dialog.getByLabel('Password').press('Enter')
  await dialog.getByRole('alert').getByText('The name or the password is wrong.').waitFor()
  // A refused sign-in is also an answer that the browser logs.
  await dialog.getByLabel('Password').fill('pw')
  await dialog.getByLabel('Password').press('Enter')
  const signOut = page.getByRole('button', { name: 'Sign out' })
  await signOut.waitFor()
  await page.reload()
  await signOut.waitFor()
  await page.getByRole('button', { name: 'alice', exact: true }).waitFor()
  await signOut.click()
  await page.getByRole('button', { name: 'Sign in' }).waitFor()
  await page.getByRole('status').getByText('live', { exact: true }).waitFor()
  const [window] = windows
  expect(window?.complaints.splice(0)).toEqual([expect.stringContaining('401')])
})

test('a lost connection is shown, and the views go on from where they were', async () => {
  const page = await open()
  let cut: WebSocketRoute | undefined
  await page.routeWebSocket('**/rt', (route) => {
    cut = route
    route.connectToServer()
  })
  await page.reload()
  const badge = page.getByRole('status')
  await badge.getByText('live', { exact: true }).waitFor()
  await card(page, 'Open', 'Cake for twenty').waitFor()
  await cut?.close({ code: 4452 })
  await badge.getByText('resumed', { exact: true }).waitFor()
  await card(page, 'Open', 'Cake for twenty').waitFor()
})

test('the frames pass by, without the token', async () => {
  const page = await open()
  await page.getByRole('button', { name: 'Frames' }).click()
  await signInAs(page, 'alice')
  const frames = page.getByRole('region', { name: 'Frames' })
  await addTask(page, 'Watch the frames')
  await frames.getByText('tasks.create').waitFor()
  await frames.getByText(/^create \d+$/).waitFor()
  const token = await page.evaluate(() => sessionStorage.getItem('board-token'))
  expect(token).toMatch(/^ey/)
  expect(await frames.textContent()).not.toContain(token)
  await frames.getByRole('button', { name: 'Clear' }).click()
  expect(await frames.getByRole('listitem').count()).toBe(0)
})

test("on a phone's width nothing sticks out, and the grip drags by finger", async () => {
  const page = await open({
    viewport: { width: 360, height: 740 },
    hasTouch: true,
    isMobile: true,
    colorScheme: 'dark',
  })
  await signInAs(page, 'alice')
  const overhang = (): Promise<number> =>
    page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
  expect(await overhang()).toBe(0)
  await page.getByRole('button', { name: 'Projects' }).click()
  await page.getByRole('link', { name: 'Garden day' }).click()
  await page.getByRole('link', { name: 'Garden day' }).waitFor({ state: 'hidden' })
  expect(await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor)).toBe('rgb(21, 24, 27)')
  await page.getByRole('link', { name: 'Order seedlings' }).tap()
  await page.getByRole('dialog', { name: 'Order seedlings' }).waitFor()
  expect(await overhang()).toBe(0)
  await page.getByRole('group', { name: 'State' }).getByText('Done').tap()
  await page.getByRole('button', { name: 'Close the task' }).tap()
  await card(page, 'Done', 'Order seedlings').waitFor()

  await page.locator('.columns').evaluate((columns) => columns.scrollTo({ left: 0 }))
  await expect.poll(async () => (await column(page, 'Open').boundingBox())?.x).toBeGreaterThan(10)
  const box = await page.getByRole('button', { name: 'Move Cake for twenty' }).boundingBox()
  if (box === null) throw new Error('the grip must be visible')
  const touch = await page.context().newCDPSession(page)
  const finger = (type: 'touchStart' | 'touchMove' | 'touchEnd', ...touchPoints: { x: number; y: number }[]) =>
    touch.send('Input.dispatchTouchEvent', { type, touchPoints })
  await finger('touchStart', { x: box.x + 10, y: box.y + 10 })
  await finger('touchMove', { x: box.x + 30, y: box.y + 10 })
  await finger('touchMove', { x: 350, y: box.y + 10 })
  await page.locator('.column.doing.over').waitFor()
  await finger('touchEnd')
  await card(page, 'Doing', 'Cake for twenty').waitFor()
})
