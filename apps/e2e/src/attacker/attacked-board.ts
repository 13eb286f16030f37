// A board with the limits of one that is asked thousands of things by one client: what is measured and searched is not
// how often one may ask. `HURRY=20` in the environment lets the time of the API run twenty times as fast, but for the
// limits of what it waits for. Its flags are those of the board.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { type Clock, type Limits, defaultLimits, memoryLayer, systemClock } from '@rtapi/core'
import { redisLayer, redisResults } from '@rtapi/redis'
import { createBoardApi } from '../../../board/src/board-api.ts'
import { addressesOf } from '../../../board/src/board-line.ts'
import { parseFlags } from '../../../board/src/flags.ts'
import { signIn } from '../../../board/src/http/sign-in.ts'
import { requestListener } from '../../../board/src/http/request-listener.ts'
import { openMikroOrm } from '../../../board/src/orm/mikro-orm.ts'
import { openSequelize } from '../../../board/src/orm/sequelize.ts'
import { hashPassword } from '../../../board/src/passwords.ts'
import { seedOf } from '../../../board/src/seed.ts'
import { createTokens } from '../../../board/src/tokens.ts'
import { serveTransports } from '../../../board/src/transports.ts'

const flags = parseFlags(process.argv.slice(2))
const hurry = Number(process.env['HURRY'] ?? 1)

const clock: Clock = {
  ...systemClock,
  monotonic: () => systemClock.monotonic() * hurry,
  setTimer: (delay, run) => systemClock.setTimer(delay / hurry, run),
}

const waits = [
  'helloTimeout',
  'heartbeatInterval',
  'heartbeatTimeout',
  'sendTimeout',
  'ruleTimeout',
  'storeTimeout',
  'layerTimeout',
  'ownWriteTimeout',
] as const

const limits: Partial<Limits> = {
  ...Object.fromEntries(waits.map((name) => [name, defaultLimits[name] * hurry])),
  rate: 1e9,
  burst: 1e9,
  misses: 1e9,
  badMessages: 1e9,
  connectionsPerUser: 1e9,
  loopLag: 1e9,
}

const report = (error: unknown, context: object): void => console.error(JSON.stringify(context), error)

if (flags.db.kind === 'embedded-postgres') throw new Error('name a database')
const open = flags.orm === 'sequelize' ? openSequelize : openMikroOrm
const database = await open(flags.db, report)
await database.plant(seedOf(flags.seed, await hashPassword('pw')))
const tokens = await createTokens(database.stores, flags.tokenTtl)
const url = flags.layer.kind === 'redis' ? flags.layer.url : undefined
const api = createBoardApi({
  database,
  tokens,
  clock,
  limits,
  report,
  ...(url === undefined
    ? { layer: memoryLayer() }
    : { layer: redisLayer(url, { report }), results: redisResults(url, { report }) }),
})
await api.ready
const requests = signIn(database.stores, tokens, api.sessions)
const noPage = { serve: () => false }
const { server } = serveTransports(
  api,
  requestListener(noPage, requests, (error) => report(error, { during: 'http' })),
)
server.listen(flags.port, '127.0.0.1')
await once(server, 'listening')
console.log(JSON.stringify(addressesOf(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)))
