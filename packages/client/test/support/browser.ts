import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Opens a page in a Chromium of its own; answers how to end it. */
export async function openInBrowser(url: string): Promise<() => Promise<void>> {
  const profile = await mkdtemp(join(tmpdir(), 'rtapi-browser-'))
  const browser = spawn(
    process.env['CHROMIUM'] ?? '/usr/bin/chromium',
    [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      // Nobody reads from it, but without it a headless browser ends when the page is loaded.
      '--remote-debugging-port=0',
      `--user-data-dir=${profile}`,
      url,
    ],
    { stdio: 'ignore', detached: true },
  )
  const over = once(browser, 'exit')
  await once(browser, 'spawn')
  return async () => {
    // With all the processes that it has started.
    if (browser.pid !== undefined && browser.exitCode === null) process.kill(-browser.pid, 'SIGKILL')
    await over
    await rm(profile, { recursive: true, force: true, maxRetries: 5 })
  }
}
