// Starts the board: `npm run board -- --port 4000`. Standard output carries one line of JSON, everything else goes to
// standard error.
import { type Report, memoryLayer } from '@rtapi/core'
import { serveWebSocket } from '@rtapi/ws'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { createBoardApi } from './board-api.ts'
import { FlagError, type Flags, parseFlags, usage } from './flags.ts'
import { requestListener } from './http/request-listener.ts'
import { signIn } from './http/sign-in.ts'
import { loadStaticPage } from './http/static-page.ts'
import { openMikroOrm } from './orm/mikro-orm.ts'
import { hashPassword } from './passwords.ts'
import { seedOf } from './seed.ts'
import { createTokens } from './tokens.ts'

const host = '127.0.0.1'
/** Milliseconds in which clients may take what was sent to them, when the process is told to end. */
const drainTime = 20_000

const report: Report = (error, { during }) => console.error(`${during}:`, error)

async function start(flags: Flags): Promise<void> {
  const database = await openMikroOrm(flags.db, report)
  await database.plant(seedOf(flags.seed, await hashPassword('pw')))
  const tokens = await createTokens(database.stores, flags.tokenTtl)
  const api = createBoardApi({ database, tokens, layer: memoryLayer(), report })
  await api.ready

  const page = await loadStaticPage(fileURLToPath(new URL('../dist-page', import.meta.url)))
  const endSession = (session: string) => api.sessions.end({ session, reason: 'signed out' })
  const requests = signIn(database.stores, tokens, endSession)
  const server = createServer(requestListener(page, requests, (error) => report(error, { during: 'http' })))
  const webSockets = serveWebSocket(api, server, { path: '/rt' })
  server.listen(flags.port, host)
  await once(server, 'listening')

  const stop = async (): Promise<void> => {
    server.close()
    server.closeIdleConnections()
    await Promise.all([webSockets.close({ timeout: drainTime }), api.close()])
    server.closeAllConnections()
    await database.close()
  }
  onceToldToEnd(() => {
    stop().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error)
        process.exit(1)
      },
    )
  })
  announce((server.address() as AddressInfo).port, flags.db.url)
}

function announce(port: number, db: string): void {
  const http = `http://${host}:${port}`
  const ws = `ws://${host}:${port}/rt`
  console.log(JSON.stringify({ http, ws, socketio: http, socketioPath: '/socket.io', poll: `${http}/rt-poll`, db }))
  console.error(`The board is at ${http} (sign in as alice, bob, carol or root with the password pw)`)
}

function onceToldToEnd(stop: () => void): void {
  let told = false
  const tell = (): void => {
    if (!told) stop()
    told = true
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, tell)
}

try {
  await start(parseFlags(process.argv.slice(2)))
} catch (error) {
  console.error(error instanceof FlagError ? `${error.message}\n\n${usage}` : error)
  process.exit(error instanceof FlagError ? 2 : 1)
}
