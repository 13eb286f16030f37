import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type Browser, type BrowserContextOptions, type Page, chromium } from 'playwright-core'

const start = fileURLToPath(new URL('../../../scripts/start.mjs', import.meta.url))

/** Builds the page of the board as `npm run board` does, unless it is built: test files that run at once share it. */
export async function buildPage(): Promise<void> {
  // The test runner's NODE_ENV would make it a page for development.
  const { NODE_ENV: _, ...env } = process.env
  await promisify(execFile)(process.execPath, [start, 'page', 'board'], { env })
}

/** Starts the Chromium of this machine. */
export function startBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}

/** A window of a browser of its own. */
export interface Window {
  readonly page: Page
  /** What the page has complained about. */
  readonly complaints: string[]
  close(): Promise<void>
}

export async function openWindow(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Window> {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  await page.goto(url)
  return { page, complaints, close: () => context.close() }
}

/** Signs in by one click on the name. */
export async function signInAs(page: Page, name: string): Promise<void> {
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('dialog').getByRole('button', { name, exact: true }).click()
  await page.getByRole('button', { name: 'Sign out' }).waitFor()
}
