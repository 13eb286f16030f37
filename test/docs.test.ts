import { execFile } from 'node:child_process'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { promisify } from 'node:util'
import { MessageChannel } from 'node:worker_threads'
import {
  type Api,
  type ChannelLayer,
  type Codec,
  type Resource,
  type ServerMessage,
  allowAny,
  closeCodes,
  createApi,
  defineResource,
  errorCodes,
  memoryStore,
} from '@rtapi/core'
import { codecSuite, connect } from '@rtapi/testing'
import { describe, expect, test } from 'vitest'
import { pages, textOf, writeExamples } from './docs-examples.ts'

const root = resolve(import.meta.dirname, '..')
const folder = writeExamples('docs')

async function example<T>(name: string): Promise<T> {
  return (await import(join(folder, name))) as T
}

test('the examples of the documentation compile', async () => {
  expect(readdirSync(folder, { recursive: true }).length).toBeGreaterThan(15)
  const config = {
    extends: relative(folder, join(root, 'tsconfig.test.json')),
    compilerOptions: { types: ['node'] },
    include: ['**/*.ts', '**/*.tsx'],
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  const compiler = join(root, 'node_modules/.bin/tsc')
  const errors = await promisify(execFile)(compiler, ['-p', folder], { cwd: root }).then(
    () => '',
    (failure: { stdout: string; stderr: string }) => failure.stdout + failure.stderr,
  )
  expect(errors).toBe('')
}, 60_000)

test('every relative link of the documentation leads somewhere', () => {
  const broken = pages.flatMap((page) =>
    [...textOf(page).matchAll(/\]\((?!https?:|#|mailto:)([^)#]+)(?:#[^)]*)?\)/g)]
      .map(([, target = '']) => target)
      .filter((target) => !existsSync(join(root, dirname(page), target)))
      .map((target) => `${page}: ${target}`),
  )
  expect(broken).toEqual([])
})

test('the protocol page has every error and close code, and no other', () => {
  // Tables are padded for reading.
  const page = textOf('docs/protocol.md').replaceAll(/ +/g, ' ')
  for (const [code, { retryable, meaning }] of Object.entries(errorCodes)) {
    expect(page).toContain(`| \`${code}\` | ${retryable ? 'yes' : 'no'} | ${meaning} |`)
  }
  const documented = [...page.matchAll(/^\| (4\d\d\d) \| `(\w+)` \|/gm)].map(([, code, name]) => [name, Number(code)])
  expect(Object.fromEntries(documented)).toEqual(closeCodes)
})

test('the store and the change source of the documentation serve a live view', async () => {
  const { api } = await example<{ api: Api }>('docs/write-your-own/array-changes.ts')
  const client = await connect(api)
  const view = await client.subscribe({
    resource: 'cities',
    where: { people: { gte: 100 } },
    order: [['people', 'desc']],
  })
  await client.request({ resource: 'cities', action: 'create', data: { id: 1, name: 'Ulm', people: 130 } })
  await client.request({ resource: 'cities', action: 'create', data: { id: 2, name: 'Ur', people: null } })
  await client.request({ resource: 'cities', action: 'update', key: 2, data: { people: 200 } })
  expect(view.keys).toEqual([2, 1])
  expect(await client.request({ resource: 'cities', action: 'delete', key: 1 })).toMatchObject({ ok: true })
  expect(view.keys).toEqual([2])
  await api.close()
})

const cities = (): {
  readonly resources: readonly Resource[]
  readonly changes: readonly ReturnType<typeof memoryStore>[]
} => {
  const store = memoryStore({ entity: 'City', fields: { id: 'integer' } })
  return {
    resources: [defineResource('cities', { store, permissions: [allowAny], input: { create: ['id'] } })],
    changes: [store],
  }
}

test('the channel layer of the documentation serves a live view, and a client that comes back', async () => {
  const { arrayLayer } = await example<{ arrayLayer: () => ChannelLayer }>('docs/write-your-own/array-layer.ts')
  const api = createApi({ ...cities(), layer: arrayLayer() })
  const client = await connect(api)
  const view = await client.subscribe({ resource: 'cities' })
  await client.request({ resource: 'cities', action: 'create', data: { id: 1 } })
  await client.close()
  const again = await connect(api)
  await again.request({ resource: 'cities', action: 'create', data: { id: 2 } })
  const resumed = await again.resubscribe(view)
  expect([resumed.keys, resumed.resets]).toEqual([[1, 2], []])
  await api.close()
})

test('the transport of the documentation serves a client', async () => {
  const { servePort } = await example<{ servePort: (api: Api, port: unknown) => void }>(
    'docs/write-your-own/port-transport.ts',
  )
  const api = createApi(cities())
  const { port1, port2 } = new MessageChannel()
  servePort(api, port1)
  const next = (): Promise<ServerMessage> =>
    new Promise((resolve) => port2.once('message', (data: string) => resolve(JSON.parse(data) as ServerMessage)))
  const welcome = next()
  port2.postMessage(JSON.stringify({ type: 'hello', versions: [1] }))
  expect(await welcome).toMatchObject({ type: 'welcome', version: 1 })
  const goodbye = next()
  await api.close()
  expect(await goodbye).toMatchObject({ type: 'goodbye', code: closeCodes.draining })
})

const { bytesCodec } = await example<{ bytesCodec: Codec }>('docs/write-your-own/bytes-codec.ts')

describe('the codec of the documentation is a codec', () => {
  for (const { name, run } of codecSuite({ open: () => bytesCodec })) test(name, run)
})
