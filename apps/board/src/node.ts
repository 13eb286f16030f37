import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { type ChannelLayer, type Limits, type Report, type ResultKeeper, defaultLimits, memoryLayer } from '@rtapi/core'
import { redisLayer, redisResults } from '@rtapi/redis'
import { type PrivateServer, startPrivateServer } from '../../private-servers/private-server.ts'
import { createBoardApi } from './board-api.ts'
import { addressesOf, announce } from './board-line.ts'
import type { BoardDatabase } from './domain/board-database.ts'
import { endWhenTold } from './ending.ts'
import type { DatabaseAddress, Flags, LayerAddress } from './flags.ts'
import { requestListener } from './http/request-listener.ts'
import { signIn } from './http/sign-in.ts'
import { loadStaticPage } from './http/static-page.ts'
import { hashPassword } from './passwords.ts'
import { seedOf } from './seed.ts'
import { createTokens } from './tokens.ts'
import { serveTransports } from './transports.ts'

const host = '127.0.0.1'

const report: Report = (error, { during }) => console.error(`${during}:`, error)

/** Runs one process of the board until it is told to end. */
export async function runNode(flags: Flags): Promise<void> {
  const privateServers: PrivateServer[] = []
  try {
    await serve(flags, privateServers)
  } catch (error) {
    await Promise.all(privateServers.map((server) => server.stop()))
    throw error
  }
}

async function serve(flags: Flags, privateServers: PrivateServer[]): Promise<void> {
  const address = await addressOf(flags.db, privateServers)
  const database = await openDatabase(flags.orm, address)
  await database.plant(seedOf(flags.seed, await hashPassword('pw')))
  const tokens = await createTokens(database.stores, flags.tokenTtl)
  const api = createBoardApi({ database, tokens, ...layerOf(flags.layer), limits: limitsOf(flags), report })
  await api.ready

  const page = await loadStaticPage(fileURLToPath(new URL('../dist-page', import.meta.url)))
  const requests = signIn(database.stores, tokens, api.sessions)
  const transports = serveTransports(
    api,
    requestListener(page, requests, (error) => report(error, { during: 'http' })),
  )
  const { server } = transports
  server.listen(flags.port, host)
  await once(server, 'listening')

  endWhenTold(async () => {
    // Who polls has to come once more to be told: the server takes connections until then.
    await transports.close()
    server.close()
    server.closeAllConnections()
    await database.close()
    await Promise.all(privateServers.map((privateServer) => privateServer.stop()))
  })
  announce({ ...addressesOf(`http://${host}:${(server.address() as AddressInfo).port}`), db: address.url })
}

async function addressOf(db: Flags['db'], privateServers: PrivateServer[]): Promise<DatabaseAddress> {
  if (db.kind !== 'embedded-postgres') return db
  const server = await startPrivateServer({ kind: 'postgres', app: 'board', folder: db.folder })
  privateServers.push(server)
  return { kind: 'postgres', url: server.url }
}

/** Only the ORM that is asked for is loaded. */
async function openDatabase(orm: Flags['orm'], address: DatabaseAddress): Promise<BoardDatabase> {
  if (orm === 'mikro-orm') return (await import('./orm/mikro-orm.ts')).openMikroOrm(address, report)
  return (await import('./orm/sequelize.ts')).openSequelize(address, report)
}

/** Where changes travel, and what keeps the results of keyed writes for the same processes: the layer in memory does both. */
function layerOf(address: LayerAddress): { readonly layer: ChannelLayer; readonly results?: ResultKeeper } {
  if (address.kind !== 'redis') return { layer: memoryLayer() }
  return { layer: redisLayer(address.url, { report }), results: redisResults(address.url, { report }) }
}

/** After a short sign-in nobody is waited for longer than half as long again. */
function limitsOf({ tokenTtl }: Flags): Partial<Limits> {
  return { expiryGrace: Math.min(defaultLimits.expiryGrace, tokenTtl * 500) }
}
