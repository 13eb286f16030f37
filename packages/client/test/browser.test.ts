import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test, vi } from 'vitest'
import { bundle } from '../scripts/bundle.ts'
import { openInBrowser } from './support/browser.ts'
import { RealServers } from './support/real-servers.ts'
import { TcpProxy } from './support/tcp-proxy.ts'

// A browser takes its time where many tests run at once.
vi.setConfig({ testTimeout: 120_000 })

const index = fileURLToPath(new URL('../src/index.ts', import.meta.url))

/** The script of a page which tells the server what it shows. */
function pageScript(url: string, transports: string): string {
  return `
    import { createClient, eventStreamTransport, longPollingTransport, webSocketTransport } from ${JSON.stringify(index)}
    const report = (what) => void fetch('/report', { method: 'POST', body: JSON.stringify(what), keepalive: true })
    addEventListener('error', ({ message }) => report({ problem: message }))
    addEventListener('unhandledrejection', ({ reason }) => report({ problem: String(reason) }))
    const client = createClient({
      url: ${JSON.stringify(url)},
      token: 'ann',
      transport: [${transports}],
      limits: { backoffMinimum: 20, upgradeMinimum: 100, upgradeMaximum: 400 },
    })
    client.connection.subscribe(({ status, transport, fallback, user }) => report({ status, transport, fallback: fallback?.from, user }))
    const view = client.resource('items').live()
    view.subscribe((rows, { status }) => report({ view: status, texts: rows.map(({ text }) => text).join() }))
  `
}

interface Report {
  readonly problem?: string
  readonly status?: string
  readonly transport?: string
  readonly fallback?: string
  readonly user?: string
  readonly view?: string
  readonly texts?: string
}

/** Opens a page that a server delivers; answers what it reports. */
async function openPage(servers: RealServers, script: string): Promise<Report[]> {
  const reports: Report[] = []
  servers.files.set('/page', (_, response) => {
    response.setHeader('content-type', 'text/html')
    response.end(`<!doctype html><meta charset="utf-8"><script type="module">${script}</script>`)
  })
  servers.files.set('/report', (request, response) => {
    void text(request).then((body) => {
      reports.push(JSON.parse(body) as Report)
      response.end()
    })
  })
  onTestFinished(await openInBrowser(`http://127.0.0.1:${servers.port}/page`))
  return reports
}

async function until(reports: readonly Report[], what: Report): Promise<void> {
  await expect.poll(() => reports, { timeout: 60_000 }).toContainEqual(expect.objectContaining(what))
}

test.each([
  ['longPollingTransport', 'long-polling'],
  ['eventStreamTransport', 'event-stream'],
])(
  'a page whose WebSocket is blocked falls back (%s) and comes back, and its view stays live',
  async (lesser, name) => {
    const servers = await RealServers.start()
    onTestFinished(() => servers.stop())
    const proxy = await TcpProxy.start(servers.port)
    onTestFinished(() => proxy.stop())
    proxy.mode = 'refuse'
    servers.store.create({ text: 'a' })
    const webSocket = `webSocketTransport({ url: 'ws://127.0.0.1:${proxy.port}/rt' })`
    const reports = await openPage(servers, await bundle(pageScript('/rt', `${webSocket}, ${lesser}()`)))

    await until(reports, { status: 'live', transport: name, fallback: 'ws' })
    await until(reports, { texts: 'a', view: 'live' })
    servers.store.create({ text: 'b' })
    await until(reports, { texts: 'a,b' })

    proxy.mode = 'open'
    await until(reports, { status: 'live', transport: 'ws' })
    servers.store.create({ text: 'c😀' })
    await until(reports, { texts: 'a,b,c😀' })
    await expect.poll(() => servers.api.stats().connections).toBe(1)
    // Nobody who looks at the page has noticed.
    expect(new Set(reports.flatMap(({ view }) => view ?? []))).toEqual(new Set(['live']))

    reports.length = 0
    proxy.mode = 'refuse'
    servers.store.create({ text: 'd' })
    await until(reports, { status: 'live', transport: name, fallback: 'ws' })
    await until(reports, { texts: 'a,b,c😀,d', view: 'live' })
    expect(reports.flatMap(({ problem }) => problem ?? [])).toEqual([])
  },
)

test.each([
  ['longPollingTransport', 'long-polling'],
  ['eventStreamTransport', 'event-stream'],
])('a page of another origin is served (%s), with a token, where the server lets it', async (lesser, name) => {
  const pages = await RealServers.start()
  onTestFinished(() => pages.stop())
  const servers = await RealServers.start({ http: { origins: [`http://127.0.0.1:${pages.port}`] } })
  onTestFinished(() => servers.stop())
  servers.store.create({ text: 'a' })
  const reports = await openPage(pages, await bundle(pageScript(servers.url, `${lesser}()`)))
  await until(reports, { status: 'live', transport: name, user: 'ann' })
  await until(reports, { texts: 'a', view: 'live' })
  servers.store.create({ text: 'b' })
  await until(reports, { texts: 'a,b' })
  expect(reports.flatMap(({ problem }) => problem ?? [])).toEqual([])
})
