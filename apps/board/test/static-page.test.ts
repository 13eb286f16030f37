import { mkdir, writeFile } from 'node:fs/promises'
import { type Server, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { requestListener } from '../src/http/request-listener.ts'
import type { SignIn } from '../src/http/sign-in.ts'
import { loadStaticPage } from '../src/http/static-page.ts'
import { temporaryFolder } from '../../e2e/src/board-process.ts'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let server: Server
let reported: unknown[]

const signIn: SignIn = {
  login: () => Promise.reject(new Error('the database is gone')),
  logout: () => Promise.reject(new Error('the database is gone')),
  connections: () => Promise.reject(new Error('the database is gone')),
}

beforeEach(async () => {
  folder = await temporaryFolder()
  reported = []
})

afterEach(async () => {
  server.close()
  await folder.remove()
})

/** Serves the folder as it is now. */
async function serve(): Promise<(path: string, init?: RequestInit) => Promise<Response>> {
  const page = await loadStaticPage(folder.path)
  server = createServer(requestListener(page, signIn, (error) => reported.push(error)))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return (path, init) => fetch(`http://127.0.0.1:${port}${path}`, init)
}

async function buildSomething(): Promise<void> {
  await mkdir(`${folder.path}/assets`)
  await writeFile(`${folder.path}/index.html`, '<p>board</p>')
  await writeFile(`${folder.path}/assets/a-1.js`, 'go()')
  await writeFile(`${folder.path}/.built-from`, 'secret')
}

test('the page, and what it needs', async () => {
  await buildSomething()
  const get = await serve()
  const index = await get('/?from=mail')
  expect([index.status, await index.text()]).toEqual([200, '<p>board</p>'])
  expect(index.headers.get('content-type')).toBe('text/html; charset=utf-8')
  expect(index.headers.get('cache-control')).toBe('no-cache')
  expect(index.headers.get('content-security-policy')).toContain("default-src 'none'")
  const script = await get('/assets/a-1.js')
  expect([await script.text(), script.headers.get('content-type')]).toEqual(['go()', 'text/javascript; charset=utf-8'])
  expect(script.headers.get('cache-control')).toContain('immutable')
  const head = await get('/', { method: 'HEAD' })
  expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '12', ''])
})

test.each(['/.built-from', '/assets/', '/assets/../../package.json', '/%2e%2e/package.json', '/none'])(
  'nothing else: %s',
  async (path) => {
    await buildSomething()
    const get = await serve()
    const response = await get(path)
    expect(response.status).toBe(404)
    expect(await response.json()).toEqual({ error: { message: 'There is no such page.' } })
  },
)

test('a page that is not built says how to build it', async () => {
  const get = await serve()
  const response = await get('/')
  expect(response.status).toBe(503)
  expect(await response.text()).toContain('npm run page:build')
})

test('an error that was not foreseen is reported and not shown', async () => {
  const get = await serve()
  const response = await get('/login', { method: 'POST' })
  expect(response.status).toBe(500)
  expect(await response.text()).not.toContain('database')
  expect(reported).toEqual([new Error('the database is gone')])
})
