// The quick start on MikroORM: one entity, one resource, one page.
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { MikroORM, NodeSqliteDialect, SqliteDriver, defineEntity, p } from '@mikro-orm/sql'
import { allowAny, createApi, defineResource } from '@rtapi/core'
import { rtapiMikroOrm } from '@rtapi/mikro-orm'
import { serveWebSocket } from '@rtapi/ws'

const Comment = defineEntity({
  name: 'Comment',
  properties: { id: p.integer().primary().autoincrement(), topicId: p.integer(), text: p.string() },
})

const database = ':memory:'
const orm = await MikroORM.init({
  driver: SqliteDriver,
  dbName: database,
  driverOptions: new NodeSqliteDialect(database),
  entities: [Comment],
})
await orm.schema.create()
const rtapi = rtapiMikroOrm(orm)

const comments = defineResource('comments', {
  store: rtapi.store(Comment),
  input: { create: ['topicId', 'text'] },
  permissions: [allowAny],
})

export const api = createApi({ resources: [comments], changes: [rtapi.changes()] })

const html = await readFile(new URL('../dist-page/index.html', import.meta.url))
const script = await readFile(new URL('../dist-page/page.js', import.meta.url))
const http = createServer(({ url }, response) => {
  response.setHeader('content-type', url === '/page.js' ? 'text/javascript' : 'text/html')
  response.end(url === '/page.js' ? script : html)
})
serveWebSocket(api, http, { path: '/rt' })
http.listen(Number(process.env['PORT'] ?? 4000), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(http.address() as AddressInfo).port}`)
})
