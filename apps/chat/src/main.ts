// A chat on Sequelize and socket.io, with a page that has no build: `npm run chat`.
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseArgs } from 'node:util'
import type { Report } from '@rtapi/core'
import { serveSocketIo, socketIoOptions } from '@rtapi/socket.io'
import pg from 'pg'
import { Sequelize } from 'sequelize'
import { Server } from 'socket.io'
import { startPrivateServer } from '../../private-servers/private-server.ts'
import { createChat } from './chat-api.ts'

const { values: flags } = parseArgs({
  options: {
    port: { type: 'string', default: '4000' },
    /** `postgres://…`; without it the chat has a PostgreSQL of its own, whose data ends with it. */
    db: { type: 'string' },
  },
})

const report: Report = (error, { during }) => console.error(`${during}:`, error)
const postgres = flags.db === undefined ? await startPrivateServer({ kind: 'postgres', app: 'chat' }) : undefined
const url = flags.db ?? postgres?.url ?? ''
const sequelize = new Sequelize(url, { logging: false, dialectModule: pg })
const { api, Message } = createChat(sequelize, report)
await Message.sync()
await api.ready

const page = await readFile(new URL('../page/index.html', import.meta.url))
const server = createServer((request, response) => {
  if (request.url === '/') response.setHeader('content-type', 'text/html; charset=utf-8').end(page)
  else response.writeHead(404).end()
})
// The server delivers the stock client for the page, at /socket.io/socket.io.js.
const io = new Server(server, socketIoOptions(api))
const sockets = serveSocketIo(api, io)
server.listen(Number(flags.port), '127.0.0.1')
await once(server, 'listening')

const http = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
console.log(JSON.stringify({ http, socketio: http, db: url }))
console.error(`The chat is at ${http}`)

async function stop(): Promise<void> {
  await Promise.all([sockets.close({ timeout: 5_000 }), api.close()])
  await io.close()
  await sequelize.close()
  await postgres?.stop()
}
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => void stop().then(() => process.exit(0)))
}
