// Prices from a text file, live: no ORM, no database, and no client library. Watch it with EventSource or curl.
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type Report, allowAny, createApi, defineResource, memoryLayer } from '@rtapi/core'
import { httpHandler, toNodeListener } from '@rtapi/long-polling'
import { startMarket } from './market.ts'
import { PriceFile } from './price-file.ts'
import { priceChanges, priceStore } from './price-store.ts'

const { values: flags } = parseArgs({
  options: {
    port: { type: 'string', default: '4000' },
    file: { type: 'string', default: fileURLToPath(new URL('../data/prices.csv', import.meta.url)) },
    /** Milliseconds between two prices that the demo makes up; 0: none. */
    tick: { type: 'string', default: '1000' },
  },
})

const report: Report = (error, { during }) => console.error(`${during}:`, error)
const at = new Date().toISOString()
const seed = [
  { symbol: 'ACME', price: '12.5', at },
  { symbol: 'GLOBEX', price: '99', at },
  { symbol: 'INITECH', price: '3.25', at },
]
const file = await PriceFile.open(resolve(flags.file), seed, report)

const prices = defineResource('prices', {
  store: priceStore(file, () => new Date()),
  input: { create: ['symbol', 'price'], update: ['price'] },
  permissions: [allowAny],
})

export const api = createApi({ resources: [prices], changes: [priceChanges(file)], layer: memoryLayer(), report })

const handler = httpHandler(api, { path: '/rt' })
const answer = toNodeListener(handler)
const page = await readFile(new URL('../page/index.html', import.meta.url))
const server = createServer((request, response) => {
  if (request.url?.startsWith('/rt') === true) answer(request, response)
  else if (request.url === '/') response.setHeader('content-type', 'text/html; charset=utf-8').end(page)
  else response.writeHead(404).end()
})
server.listen(Number(flags.port), '127.0.0.1')
await once(server, 'listening')
const stopMarket = startMarket(file, Number(flags.tick), report)

const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
console.log(JSON.stringify({ http: url, poll: `${url}/rt`, file: resolve(flags.file) }))
console.error(`Prices of ${resolve(flags.file)}: ${url}`)

async function stop(): Promise<void> {
  stopMarket()
  server.close()
  await Promise.all([handler.close({ timeout: 5_000 }), api.close()])
  server.closeAllConnections()
  file.close()
}
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop())
