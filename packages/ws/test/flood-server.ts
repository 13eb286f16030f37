// The server of `flood.test.ts`, in a process of its own with a small heap. It tells its parent the port, and the memory it
// has taken each time it is asked.
import { createApi, defineResource, isAuthenticated, memoryStore } from '@rtapi/core'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { serveWebSocket } from '../src/index.ts'

type Note = { id: number; text: string }

const store = memoryStore<Note>({
  entity: 'Note',
  fields: { id: 'integer', text: 'string' },
  rows: Array.from({ length: 50 }, (_, i) => ({ id: i + 1, text: 'x'.repeat(5_000) })),
})
const reports = new Map<string, number>()
const api = createApi({
  resources: [defineResource('notes', { store, permissions: [isAuthenticated], input: { update: ['text'] } })],
  changes: [store],
  authenticate: ({ token }) => (token === undefined || token === null ? null : { user: { id: token } }),
  report: (_error, { during }) => void reports.set(during, (reports.get(during) ?? 0) + 1),
})
const server = createServer()
serveWebSocket(api, server, { path: '/rt', acceptRate: 10_000 })

let turn = 0
let peak = 0
setInterval(() => {
  // What slow readers do not take: about a megabyte a second for each.
  for (let i = 0; i < 4; i++) store.update((turn++ % 50) + 1, { text: `${turn} ${'x'.repeat(5_000)}` })
  peak = Math.max(peak, process.memoryUsage().rss)
}, 20)

process.on('message', () => process.send?.({ peak, reports: Object.fromEntries(reports), stats: api.stats() }))
process.on('disconnect', () => process.exit(0))
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }))
