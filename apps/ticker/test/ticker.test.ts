import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { EventSource } from 'eventsource'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const app = fileURLToPath(new URL('..', import.meta.url))
let folder: string
let file: string
let server: ChildProcess
let url: string
let errors = ''
const streams = new Set<EventSource>()

async function start(port = 0): Promise<void> {
  const flags = ['--port', String(port), '--file', file, '--tick', '0']
  server = spawn(process.execPath, ['--conditions=rtapi-source', 'src/main.ts', ...flags], {
    cwd: app,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  server.stderr?.on('data', (data: Buffer) => (errors += data.toString()))
  const [line] = (await once(server.stdout ?? server, 'data')) as [Buffer]
  url = (JSON.parse(line.toString()) as { poll: string }).poll
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rtapi-ticker-'))
  file = join(folder, 'prices.csv')
  await writeFile(file, 'ACME,12.50,2026-01-01T00:00:00Z\n')
  await start()
})

afterEach(() => {
  for (const stream of streams) stream.close()
  streams.clear()
})

afterAll(async () => {
  server.kill('SIGKILL')
  await rm(folder, { recursive: true })
})

interface Message {
  readonly type: string
  readonly rows?: readonly { readonly key: string; readonly data: { readonly price: string } }[]
  readonly changes?: readonly {
    readonly action: string
    readonly key: string
    readonly data?: { readonly price: string }
  }[]
}

/** What a stock EventSource shows: prices by symbols. */
function watch(): { readonly shown: Map<string, string>; readonly types: string[] } {
  const subscription = encodeURIComponent(JSON.stringify({ resource: 'prices' }))
  const stream = new EventSource(`${url}/stream?subscribe=${subscription}`)
  streams.add(stream)
  const shown = new Map<string, string>()
  const types: string[] = []
  stream.addEventListener('message', ({ data }) => {
    for (const message of [JSON.parse(String(data)) as Message | Message[]].flat()) {
      types.push(message.type)
      if (message.type === 'snapshot') shown.clear()
      for (const { key, data: row } of message.rows ?? []) shown.set(key, row.price)
      for (const { action, key, data: row } of message.changes ?? []) {
        if (action === 'delete' || action === 'leave') shown.delete(key)
        else shown.set(key, row?.price ?? '')
      }
    }
  })
  return { shown, types }
}

async function curl(path: string, body?: unknown): Promise<unknown> {
  const data = body === undefined ? [] : ['--data', JSON.stringify(body)]
  const { stdout } = await promisify(execFile)('curl', ['--silent', '--request', 'POST', ...data, `${url}/${path}`])
  return JSON.parse(stdout)
}

test('what other programs write into the file reaches an EventSource', async () => {
  const { shown } = watch()
  await expect.poll(() => shown.get('ACME')).toBe('12.5')
  await appendFile(file, 'ACME,13,2026-01-01T00:00:01Z\nHOOLI,70.10,2026-01-01T00:00:01Z\n')
  await expect.poll(() => Object.fromEntries(shown)).toEqual({ ACME: '13', HOOLI: '70.1' })
  // As editors do it: another file takes the place.
  const draft = join(folder, 'draft')
  await writeFile(draft, 'ACME,14,2026-01-01T00:00:02Z\n')
  await rename(draft, file)
  await expect.poll(() => Object.fromEntries(shown)).toEqual({ ACME: '14' })
})

test('what curl writes is in the file, and reaches an EventSource', async () => {
  const { shown } = watch()
  await expect.poll(() => shown.has('ACME')).toBe(true)
  expect(await curl('prices/create', { data: { symbol: 'UMBRELLA', price: '1.10' } })).toMatchObject({ ok: true })
  expect(await curl('prices/update/UMBRELLA', { data: { price: '1.20' } })).toMatchObject({ data: { price: '1.2' } })
  await expect.poll(() => shown.get('UMBRELLA')).toBe('1.2')
  expect(await readFile(file, 'utf8')).toMatch(/^UMBRELLA,1\.2,/m)
  expect(await curl('prices/create', { data: { symbol: 'UMBRELLA', price: '1' } })).toMatchObject({
    error: { code: 'conflict' },
  })
  expect(await curl('prices/create', { data: { symbol: 'a,b', price: '1' } })).toMatchObject({
    error: { code: 'invalid', details: [{ path: ['symbol'] }] },
  })
  expect(await curl('prices/delete/UMBRELLA')).toMatchObject({ ok: true })
  await expect.poll(() => shown.has('UMBRELLA')).toBe(false)
  expect(await curl('prices/update/UMBRELLA', { data: { price: '1' } })).toMatchObject({ error: { code: 'not_found' } })
})

test('twenty edits at once are made one after the other', async () => {
  const symbols = Array.from({ length: 20 }, (_, i) => `MANY${i}`)
  await Promise.all(symbols.map((symbol) => curl('prices/create', { data: { symbol, price: '5' } })))
  expect(await curl('prices/list', { where: { symbol: { startsWith: 'MANY' } } })).toMatchObject({
    rows: symbols.toSorted().map((key) => ({ key })),
  })
  await Promise.all(symbols.map((symbol) => curl(`prices/delete/${symbol}`)))
})

test('a file that cannot be read is said to the operator, the last prices stay, and nothing is overwritten', async () => {
  const good = await readFile(file, 'utf8')
  await appendFile(file, 'ACME;15\n')
  await expect.poll(() => errors).toContain('line 2: expected SYMBOL,price,date')
  expect(await curl('prices/get/ACME')).toMatchObject({ data: { price: '14' } })
  const refused = await curl('prices/update/ACME', { data: { price: '16' } })
  expect(refused).toMatchObject({ error: { code: 'unavailable', message: 'The prices cannot be read now.' } })
  expect(await readFile(file, 'utf8')).toBe(`${good}ACME;15\n`)
  await writeFile(file, good)
  await expect.poll(async () => curl('prices/update/ACME', { data: { price: '16' } })).toMatchObject({ ok: true })
})

test('an EventSource goes on by itself when the program was killed and is there again', async () => {
  const { shown, types } = watch()
  await expect.poll(() => shown.get('ACME')).toBe('16')
  const port = Number(new URL(url).port)
  server.kill('SIGKILL')
  await once(server, 'exit')
  await writeFile(file, 'ACME,17,2026-01-01T00:00:03Z\n')
  await start(port)
  await expect.poll(() => shown.get('ACME'), { timeout: 20_000 }).toBe('17')
  expect(types.filter((type) => type === 'snapshot')).toHaveLength(2)
})

test('told to end, it ends by itself', async () => {
  const { shown } = watch()
  await expect.poll(() => shown.has('ACME')).toBe(true)
  server.kill('SIGTERM')
  expect(await once(server, 'exit')).toEqual([0, null])
})
