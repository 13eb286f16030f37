import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { WebSocket } from 'ws'

/** How many attack, and how many only want to be served. */
const ATTACKERS = 200
const HONEST = 20
const REQUESTS = 20
/** Megabytes of heap of the server, and of memory in all that it may take, buffers of the system's sockets included. */
const HEAP = 192
const MEMORY = 600

let child: ChildProcess | undefined
const sockets: WebSocket[] = []

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.terminate()
  child?.kill('SIGKILL')
})

async function startServer(): Promise<{ readonly port: number; readonly ask: () => Promise<Record<string, unknown>> }> {
  const main = fileURLToPath(new URL('flood-server.ts', import.meta.url))
  const flags = [`--max-old-space-size=${HEAP}`, '--conditions=rtapi-source', main]
  const started = spawn(process.execPath, flags, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  child = started
  const [{ port }] = (await once(started, 'message')) as [{ port: number }]
  return {
    port,
    async ask() {
      const answer = once(started, 'message')
      started.send('memory')
      return ((await answer) as [Record<string, unknown>])[0]
    },
  }
}

async function open(port: number, token: string): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/rt`, 'rtapi.v1.json')
  sockets.push(socket)
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
async function attack(port: number, number: number): Promise<number | 'limited' | 'served'> {
  const socket = await open(port, `attacker ${Math.floor(number / 15)}`)
  const closed = once(socket, 'close').then(([code]) => code as number)
  let isLimited = false
  socket.on('message', (data: Buffer) => {
    isLimited ||= /"code":"(rate_limited|limit_exceeded|unavailable)"/.test(data.toString())
  })
  for (let i = 0; i < 1_500 && socket.readyState === WebSocket.OPEN; i++) {
    attacks[number % attacks.length]?.(socket, i)
    // Other attackers and the honest ones get their turn.
    if (i % 20 === 19) await new Promise((resolve) => setTimeout(resolve, 10))
  }
  if (socket.readyState !== WebSocket.OPEN) return closed
  return isLimited ? 'limited' : 'served'
}

/** Milliseconds after which the server wants to be asked again. */
function retryAfter(message: Record<string, unknown>): number {
  return ((message['error'] ?? {}) as { retryAfter?: number }).retryAfter ?? 50
}

/** Asks again and again, and comes back when told to. Answers how long each answer took, in milliseconds. */
async function beHonest(port: number, name: string): Promise<number[]> {
  const socket = await open(port, name)
  const replies = new Map<string, (reply: Record<string, unknown>) => void>()
  let heardChange = (): void => undefined
  const changed = new Promise<void>((resolve) => (heardChange = resolve))
  const live = (): void => socket.send(JSON.stringify({ type: 'subscribe', id: 'live', resource: 'notes', key: 1 }))
  socket.on('message', (data: Buffer) => {
    const frame = JSON.parse(data.toString()) as Record<string, unknown> | Record<string, unknown>[]
    for (const message of Array.isArray(frame) ? frame : [frame]) {
      if (message['type'] === 'ping') socket.send('{"type":"pong"}')
      if (message['type'] === 'changes') heardChange()
      if (message['type'] === 'end') setTimeout(live, retryAfter(message))
      if (message['type'] === 'reply') replies.get(String(message['id']))?.(message)
    }
  })
  live()
  const times: number[] = []
  for (let i = 0, tries = 0; i < REQUESTS; tries++) {
    const id = `r${tries}`
    const from = performance.now()
    const reply = await new Promise<Record<string, unknown>>((resolve, reject) => {
      replies.set(id, resolve)
      socket.once('close', (code) => reject(new Error(`an honest client was closed with ${code}`)))
      socket.send(request(id))
    })
    socket.removeAllListeners('close')
    if (reply['ok'] === true) {
      times.push(performance.now() - from)
      i++
    }
    await new Promise((resolve) => setTimeout(resolve, retryAfter(reply)))
  }
  await changed
  return times
}

test('two hundred attackers neither end the server nor keep the others from being served', async () => {
  const { port, ask } = await startServer()
  const attackers = Array.from({ length: ATTACKERS }, (_, i) => attack(port, i))
  const times = (await Promise.all(Array.from({ length: HONEST }, (_, i) => beHonest(port, `honest ${i}`)))).flat()
  const codes = await Promise.all(attackers)
  const { peak, reports } = await ask()
  expect(child?.exitCode).toBeNull()
  expect(times).toHaveLength(HONEST * REQUESTS)
  expect(Number(peak) / 1_048_576).toBeLessThan(MEMORY)
  // Nothing of it was a fault of the server.
  expect(Object.keys(reports as object).filter((during) => during !== 'sendBudget')).toEqual([])
  // Whoever sends too much or what is broken is limited or gone; whoever does not read, or tries keys, is slowed down.
  expect(codes.filter((code) => code !== 'served').length).toBeGreaterThanOrEqual(ATTACKERS / 2)
  for (const code of codes) expect([4400, 4413, 4429, 4450, 1006, 1009, 'limited', 'served']).toContain(code)
  times.sort((a, b) => a - b)
  if (process.env['FIGURES'] !== undefined) {
    const p99 = times[Math.floor(times.length * 0.99)]
    console.log({
      median: times[times.length >> 1],
      p99,
      peak: Number(peak) / 1_048_576,

      codes: count(codes),
    })
  }
}, 120_000)

function count(codes: readonly (number | string)[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const code of codes) counts[String(code)] = (counts[String(code)] ?? 0) + 1
  return counts
}
