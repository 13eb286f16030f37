// The attackers of `flood.test.ts`, in a process of their own: as `flood-attackers.ts <port> <how many>`. It tells its parent
// how each of them ended.
import { once } from 'node:events'
import { WebSocket } from 'ws'

/** Milliseconds after which nobody goes on only for being let in. */
const MOST_TIME = 30_000

const [port = 0, attackers = 0] = process.argv.slice(2).map(Number)

async function open(token: string): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/rt`, 'rtapi.v1.json')
  socket.on('error', () => undefined)
  await once(socket, 'open')
  socket.send(JSON.stringify({ type: 'hello', versions: [1], token }))
  return socket
}

const request = (id: string, rest: object = {}): string =>
  JSON.stringify({ type: 'request', id, resource: 'notes', action: 'list', limit: 2, ...rest })

/** What the attackers do, each in turn, again and again until they are closed. */
const attacks: readonly ((socket: WebSocket, i: number) => void)[] = [
  // Everything as fast as it goes.
  (socket, i) => socket.send(request(`r${i}`)),
  (socket) => socket.send('{"type":"ping"}'),
  // Nothing of what comes is read, and much is asked for.
  (socket, i) => {
    if (i > 100) return
    socket.pause()
    socket.send(JSON.stringify({ type: 'subscribe', id: `s${i}`, resource: 'notes', where: { id: { gt: i % 7 } } }))
    socket.send(request(`r${i}`, { limit: 50 }))
  },
  // Big, deep and broken.
  (socket) => socket.send(`{"type":"request","data":${'['.repeat(30_000)}${']'.repeat(30_000)}}`),
  (socket, i) => socket.send(request(`r${i}`, { where: { or: Array.from({ length: 5_000 }, () => ({ id: 1 })) } })),
  (socket) => socket.send('x'.repeat(65_000)),
  // Keys are tried.
  (socket, i) => socket.send(request(`r${i}`, { action: 'get', key: 1_000 + i, limit: undefined })),
  (socket, i) => socket.send(JSON.stringify({ type: 'subscribe', id: `s${i % 50}`, resource: 'notes', key: i })),
]

/** Attacks until it is closed, or has done it often enough; answers how it was closed, or whether it was limited. */
async function attack(number: number): Promise<number | 'limited' | 'served'> {
  const socket = await open(`attacker ${Math.floor(number / 15)}`)
  const closed = once(socket, 'close').then(([code]) => code as number)
  let isLimited = false
  socket.on('message', (data: Buffer) => {
    isLimited ||= /"code":"(rate_limited|limit_exceeded|unavailable)"/.test(data.toString())
  })
  // On a machine that is busy it takes more of them until what is sent is too much.
  const goesOn = (i: number): boolean => i < 1_500 || (i < 20_000 && !isLimited && performance.now() < MOST_TIME)
  for (let i = 0; goesOn(i) && socket.readyState === WebSocket.OPEN; i++) {
    attacks[number % attacks.length]?.(socket, i)
    // Other attackers and the honest ones get their turn.
    if (i % 20 === 19) await new Promise((resolve) => setTimeout(resolve, 10))
  }
  if (socket.readyState !== WebSocket.OPEN) return closed
  return isLimited ? 'limited' : 'served'
}

const codes = await Promise.all(Array.from({ length: attackers }, (_, i) => attack(i)))
process.send?.(codes)
process.disconnect()
process.exit(0)
