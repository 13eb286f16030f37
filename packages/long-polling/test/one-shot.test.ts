import { type Api, RtapiError, createApi, defineResource, errorCodes, memoryStore } from '@rtapi/core'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { httpHandler, toNodeListener } from '../src/index.ts'
import { curl } from './support/curl.ts'
import { listen } from './support/listen.ts'
import { HIDDEN, type Note } from './support/notes-api.ts'
import { servedNotes } from './support/served-notes.ts'

// The machine may be slow, and busy with other things.
vi.setConfig({ testTimeout: 60_000 })

const note = (id: number, topicId: number, owner = 'ann'): Note => ({ id, topicId, text: `note ${id}`, owner })
const rows = [note(1, 1), note(2, 1), note(3, 2, 'bob'), note(4, HIDDEN)]
const ann = ['--header', 'Authorization: Bearer ann'] as const
const data = (value: unknown): readonly string[] => ['--data', JSON.stringify(value)]

describe('curl', () => {
  test('lists, gets, creates, updates, deletes and describes', async () => {
    const { url, store } = await servedNotes(rows)
    const list = await curl(`${url}/notes/list`, ...data({ where: { topicId: 1 }, order: [['id', 'desc']], limit: 1 }))
    expect(list.status).toBe(200)
    expect(list.json).toEqual({
      type: 'reply',
      ok: true,
      rows: [{ key: 2, data: note(2, 1) }],
      next: expect.any(String) as unknown,
    })
    const { next } = list.json as { readonly next: string }
    const more = { where: { topicId: 1 }, order: [['id', 'desc']], limit: 1, after: next }
    expect((await curl(`${url}/notes/list`, ...data(more))).json).toMatchObject({ rows: [{ key: 1 }] })
    expect((await curl(`${url}/notes/list`)).json).toMatchObject({ rows: [{ key: 1 }, { key: 2 }, { key: 3 }] })
    expect((await curl(`${url}/notes/get/1`)).json).toMatchObject({ ok: true, key: 1, data: note(1, 1) })
    expect((await curl(`${url}/notes/get`, ...data({ key: 1 }))).json).toMatchObject({ ok: true, key: 1 })

    const created = await curl(`${url}/notes/create`, ...ann, ...data({ data: note(7, 1) }))
    expect([created.status, created.json]).toMatchObject([200, { ok: true, key: 7, tx: expect.any(String) as unknown }])
    const updated = await curl(`${url}/notes/update/7`, ...ann, ...data({ data: { text: 'new' } }))
    expect([updated.status, updated.json]).toMatchObject([200, { ok: true, data: { text: 'new' } }])
    expect(store.read([7])[0]?.text).toBe('new')
    const deleted = await curl(`${url}/notes/delete/7`, ...ann)
    expect([deleted.status, deleted.json]).toMatchObject([200, { ok: true, key: 7 }])
    expect(store.read([7])).toEqual([])
    expect((await curl(`${url}/notes/describe`)).json).toMatchObject({
      ok: true,
      data: { fields: expect.anything() as unknown },
    })
  })

  test('the answers say what they are', async () => {
    const { url } = await servedNotes(rows)
    const { headers, body } = await curl(`${url}/notes/get/1`)
    expect(headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    })
    expect(body, 'a line of its own in a terminal').toMatch(/\}\n$/)
  })

  test('a hidden record and a missing one are answered alike, byte for byte', async () => {
    const { url } = await servedNotes(rows)
    const paths = ['get/KEY', 'update/KEY', 'delete/KEY']
    for (const path of paths) {
      const options = [...ann, ...(path.startsWith('update') ? data({ data: { text: 'x' } }) : [])]
      const [hidden, missing] = await Promise.all(
        ['4', '5'].map((key) => curl(`${url}/notes/${path.replace('KEY', key)}`, ...options)),
      )
      expect([hidden?.status, missing?.status]).toEqual([404, 404])
      expect(hidden?.body).toBe(missing?.body)
      expect({ ...hidden?.headers, date: '' }).toEqual({ ...missing?.headers, date: '' })
    }
  })

  test('a resource that is not for this session looks like one that does not exist', async () => {
    const { url } = await servedNotes(rows)
    const [hidden, missing] = await Promise.all(['secrets', 'nothing'].map((name) => curl(`${url}/${name}/list`)))
    expect([hidden?.status, missing?.status]).toEqual([404, 404])
    expect(hidden?.body.replace('secrets', 'nothing')).toBe(missing?.body)
    expect((await curl(`${url}/secrets/list`, ...ann)).status).toBe(200)
  })

  test.each<[string, string, readonly string[], number, string]>([
    ['no JSON', 'notes/list', ['--data', '{'], 400, 'bad_request'],
    ['no object', 'notes/list', ['--data', '[1]'], 400, 'bad_request'],
    ['an unknown field', 'notes/list', data({ were: {} }), 400, 'bad_request'],
    ['an unknown field of the record', 'notes/list', data({ where: { nope: 1 } }), 400, 'bad_request'],
    ['another action in the body', 'notes/list', data({ action: 'delete', key: 1 }), 400, 'bad_request'],
    ['an id, which nobody needs', 'notes/list', data({ id: 'a' }), 400, 'bad_request'],
    ['two keys', 'notes/get/1', data({ key: 2 }), 400, 'bad_request'],
    ['a prototype', 'notes/list', ['--data', '{"where":{"__proto__":{}}}'], 400, 'bad_request'],
    ['an action that is none', 'notes/explode', [], 405, 'unsupported'],
    ['a token that is none', 'notes/list', ['--header', 'Authorization: Bearer nobody'], 401, 'unauthenticated'],
    ['a record of another', 'notes/update/3', [...ann, ...data({ data: { text: 'x' } })], 403, 'forbidden'],
    ['a missing record', 'notes/get/99', [], 404, 'not_found'],
    [
      'a text that is taken',
      'notes/create',
      [...ann, ...data({ data: { ...note(8, 1), text: 'note 1' } })],
      409,
      'conflict',
    ],
    [
      'data that does not fit',
      'notes/create',
      [...ann, ...data({ data: { ...note(8, 1), topicId: 'x' } })],
      422,
      'invalid',
    ],
  ])('%s: %s', async (_name, path, options, status, code) => {
    const { url } = await servedNotes(rows)
    const answer = await curl(`${url}/${path}`, ...options)
    expect([answer.status, answer.json]).toMatchObject([status, { type: 'reply', ok: false, error: { code } }])
    expect(answer.headers['www-authenticate']).toBe(status === 401 ? 'Bearer' : undefined)
    if (status === 405) expect(answer.headers['allow']).toBe('POST')
  })

  test('JSON so deep that nobody can write it again is refused', async () => {
    const { url } = await servedNotes(rows)
    const deep = `{"where":${'['.repeat(30_000)}${']'.repeat(30_000)}}`
    expect((await curl(`${url}/notes/list`, '--data', deep)).status).toBe(400)
  })

  test('of two fields with one name the last counts', async () => {
    const { url } = await servedNotes(rows)
    const twice = '{"where":{"topicId":1},"where":{"topicId":2}}'
    expect((await curl(`${url}/notes/list`, '--data', twice)).json).toMatchObject({ rows: [{ key: 3 }] })
  })

  test('a body above the limit is refused, announced or not', async () => {
    const { url } = await servedNotes(rows, { limits: { frame: 2_000 } })
    const body = (size: number): string => `{"where":{"text":"${'x'.repeat(size - 21)}"}}`
    expect(body(100).length).toBe(100)
    const chunked = ['--header', 'Transfer-Encoding: chunked']
    expect((await curl(`${url}/notes/list`, '--data', body(1_800))).status).toBe(200)
    for (const more of [[], chunked]) {
      const answer = await curl(`${url}/notes/list`, ...more, '--data', body(2_001))
      expect([answer.status, answer.json]).toMatchObject([413, { error: { code: 'limit_exceeded' } }])
    }
    const huge = await curl(`${url}/notes/list`, ...chunked, '--data', 'x'.repeat(100_000))
    expect(huge.status).toBe(413)
  })

  test('a compressed body is refused', async () => {
    const { url } = await servedNotes(rows)
    const answer = await curl(`${url}/notes/list`, '--header', 'Content-Encoding: gzip', '--data', '{}')
    expect([answer.status, answer.json]).toMatchObject([415, { error: { code: 'bad_request' } }])
  })
})

describe('every error code has its status', () => {
  async function failing(error: unknown): Promise<string> {
    const store = memoryStore<Note>({
      entity: 'Note',
      fields: { id: 'integer', topicId: 'integer', text: 'string', owner: 'string' },
    })
    const notes = defineResource('notes', {
      store,
      permissions: [{}],
      ownActions: {
        fail: {
          run() {
            throw error
          },
        },
      },
    })
    const api: Api = createApi({ resources: [notes], report: () => undefined })
    const server = await listen(toNodeListener(httpHandler(api)))
    onTestFinished(() => server.end())
    return `${server.origin}/rt/notes/fail`
  }

  test.each(Object.entries(errorCodes))('%s', async (code, { status, retryable }) => {
    const url = await failing(new RtapiError(code as keyof typeof errorCodes, 'so it is', { retryAfter: 1_200 }))
    const answer = await curl(url)
    expect([answer.status, answer.json]).toMatchObject([status, { error: { code, message: 'so it is', retryable } }])
    expect(answer.headers['retry-after'], 'seconds, rounded up').toBe('2')
  })

  test('what nobody has foreseen is internal, and tells nothing', async () => {
    const answer = await curl(await failing(new Error('SELECT secret FROM users')))
    expect([answer.status, answer.json]).toMatchObject([500, { error: { code: 'internal' } }])
    expect(answer.body).not.toContain('secret')
  })
})

test.each<[string, unknown]>([
  ['/7', 7],
  ['/-7', -7],
  ['/007', '007'],
  ['/1.5', '1.5'],
  ['/12345678901234567890', '12345678901234567890'],
  ['/abc', 'abc'],
  ['/%227%22', '7'],
  ['/%22', '"'],
  ['/a%2Fb', 'a/b'],
  ['/%C3%A4', 'ä'],
  ['/7/abc', [7, 'abc']],
])('the key %s is %o', async (path, key) => {
  const seen: unknown[] = []
  const store = memoryStore<Note>({
    entity: 'Note',
    fields: { id: 'integer', topicId: 'integer', text: 'string', owner: 'string' },
  })
  const api = createApi({ resources: [defineResource('notes', { store, permissions: [{}] })] })
  const spying: Api = {
    ...api,
    accept: (socket, handshake, codec) => {
      const events = api.accept(socket, handshake, codec)
      return {
        receive(frame) {
          seen.push((JSON.parse(String(frame)) as readonly unknown[])[1])
          events.receive(frame)
        },
        drained: () => events.drained(),
        closed: (code, reason) => events.closed(code, reason),
      }
    },
  }
  await httpHandler(spying)(new Request(`http://app.example/rt/notes/get${path}`, { method: 'POST' }))
  expect(seen).toMatchObject([{ type: 'request', resource: 'notes', action: 'get', key }])
  await api.close()
})
