import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import { getConnInfo } from '@hono/node-server/conninfo'
import type { Api } from '@rtapi/core'
import { connect } from '@rtapi/testing'
import express, { type Express } from 'express'
import { type FastifyInstance, fastify } from 'fastify'
import { Hono } from 'hono'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { type HttpHandler, httpHandler, toNodeListener } from '../src/index.ts'
import { curl } from './support/curl.ts'
import { HttpClient } from './support/http-client.ts'
import { type Listening, listen } from './support/listen.ts'
import { notesApi, notesStore } from './support/notes-api.ts'
import { remoteApi } from './support/remote-api.ts'

// The machine may be slow, and busy with other things.
vi.setConfig({ testTimeout: 60_000 })

/** A framework that serves a handler under a path, in one of the ways that its users have. */
interface Mount {
  readonly path: string
  readonly listen: (handler: HttpHandler) => Promise<Pick<Listening, 'origin' | 'end'>>
}

function onExpress(path: string, mount: (app: Express, handler: HttpHandler) => void): Mount {
  return {
    path,
    async listen(handler) {
      const app = express()
      mount(app, handler)
      app.use((_request, response) => void response.status(404).send('the application'))
      return await listen(app)
    },
  }
}

function onFastify(path: string, mount: (app: FastifyInstance, handler: HttpHandler) => void): Mount {
  return {
    path,
    async listen(handler) {
      const app = fastify({ forceCloseConnections: true })
      mount(app, handler)
      await app.listen({ port: 0, host: '127.0.0.1' })
      const { port } = app.server.address() as AddressInfo
      return { origin: `http://127.0.0.1:${port}`, end: () => app.close() }
    },
  }
}

function onHono(path: string, mount: (app: Hono, handler: HttpHandler) => void): Mount {
  return {
    path,
    async listen(handler) {
      const app = new Hono()
      mount(app, handler)
      const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' })
      await new Promise((resolve) => server.once('listening', resolve))
      const { port } = server.address() as AddressInfo
      return {
        origin: `http://127.0.0.1:${port}`,
        end: async () => {
          if ('closeAllConnections' in server) server.closeAllConnections()
          await new Promise((resolve) => server.close(resolve))
        },
      }
    },
  }
}

const mounts: Readonly<Record<string, Mount>> = {
  'node:http': { path: '/rt', listen: (handler) => listen(toNodeListener(handler)) },

  Express: onExpress('/rt', (app, handler) => app.use('/rt', toNodeListener(handler))),

  'Express behind its body parsers': onExpress('/rt', (app, handler) => {
    app.use(express.json(), express.text())
    app.use('/rt', toNodeListener(handler))
  }),

  'Express under the prefix of a router': onExpress('/api/v1/rt', (app, handler) => {
    const router = express.Router()
    router.use('/rt', toNodeListener(handler))
    app.use('/api/v1', router)
  }),

  Fastify: onFastify('/rt', (app, handler) => {
    const listener = toNodeListener(handler)
    void app.register(async (scope) => {
      // Bodies are left to the listener.
      scope.removeAllContentTypeParsers()
      scope.addContentTypeParser('*', (_request, _payload, done) => done(null))
      for (const path of ['/rt', '/rt/*']) {
        scope.all(path, (request, reply) => {
          reply.hijack()
          listener(request.raw, reply.raw)
        })
      }
    })
  }),

  'Fastify behind its body parser, under a prefix': onFastify('/api/rt', (app, handler) => {
    const listener = toNodeListener(handler)
    void app.register(
      async (scope) => {
        for (const path of ['/', '/*']) {
          scope.all(path, (request, reply) => {
            reply.hijack()
            listener(Object.assign(request.raw, { body: request.body }), reply.raw)
          })
        }
      },
      { prefix: '/api/rt' },
    )
  }),

  Hono: onHono('/rt', (app, handler) => {
    app.all('/rt/*', (context) => handler(context.req.raw, { remoteAddress: getConnInfo(context).remote.address }))
  }),

  'Hono under the prefix of a router': onHono('/api/rt', (app, handler) => {
    const router = new Hono()
    router.all('/rt/*', (context) => handler(context.req.raw))
    app.route('/api', router)
  }),
}

interface Served {
  readonly api: Api
  readonly url: string
  /** Settles when a poll has come to the handler. */
  readonly polled: Promise<void>
}

async function served(mount: Mount, sessionTimeout = 30_000): Promise<Served> {
  const api = notesApi(notesStore([{ id: 1, topicId: 1, text: 'first', owner: 'ann' }]))
  const handler = httpHandler(api, { path: mount.path, sessionTimeout })
  let sawPoll = (): void => undefined
  const polled = new Promise<void>((resolve) => (sawPoll = resolve))
  const watched: HttpHandler = Object.assign(
    (...[request, context]: Parameters<HttpHandler>) => {
      if (request.url.endsWith('/poll')) sawPoll()
      return handler(request, context)
    },
    { close: () => handler.close() },
  )
  const { origin, end } = await mount.listen(watched)
  onTestFinished(async () => {
    await Promise.all([handler.close({ timeout: 0 }), api.close()])
    await end()
  })
  return { api, url: `${origin}${mount.path}`, polled }
}

describe.each(Object.entries(mounts))('%s', (_name, mount) => {
  const json = ['--header', 'Content-Type: application/json'] as const

  test.each(['poll', 'stream'] as const)('a live view by %s', async (by) => {
    const { api, url } = await served(mount)
    const client = await connect(remoteApi(api, url, { by, headers: { 'content-type': 'application/json' } }), {
      token: 'ann',
      timeout: 30_000,
    })
    const view = await client.subscribe({ resource: 'notes' })
    expect(view.keys).toEqual([1])
    const data = { id: 2, topicId: 1, text: 'second', owner: 'ann' }
    expect(await client.request({ resource: 'notes', action: 'create', data })).toMatchObject({ ok: true })
    await view.until((rows) => rows.length === 2)
    await client.close()
    while (api.stats().connections > 0) await new Promise((resolve) => setImmediate(resolve))
  })

  test('actions without a session, and what is refused', async () => {
    const { url } = await served(mount)
    const found = await curl(`${url}/notes/list`, ...json, '--data', '{"where":{"topicId":1}}')
    expect([found.status, found.json]).toMatchObject([200, { rows: [{ key: 1 }] }])
    expect((await curl(`${url}/notes/list`)).status).toBe(200)
    expect((await curl(`${url}/notes/get/2`)).status).toBe(404)
    const large = await curl(
      `${url}/notes/list`,
      ...json,
      '--data',
      JSON.stringify({ where: { text: 'x'.repeat(70_000) } }),
    )
    expect(large.status).toBe(413)
    const foreign = await curl(`${url}/notes/list`, '--header', 'Origin: http://evil.example')
    expect([foreign.status, foreign.headers['access-control-allow-origin']]).toEqual([403, undefined])
  })

  test('a client that goes while its poll waits ends its session in time', async () => {
    const { api, url, polled } = await served(mount, 1_000)
    const frame = JSON.stringify({ type: 'hello', versions: [1] })
    const client = await HttpClient.open(url, { frame, headers: { 'content-type': 'application/json' } })
    await polled
    client.abort()
    while (api.stats().connections > 0) await new Promise((resolve) => setTimeout(resolve, 5))
  })
})
