import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants, setPriority } from 'node:os'
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

const children: ChildProcess[] = []
const sockets: WebSocket[] = []

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.terminate()
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

/** Runs a file. */
function start(file: URL, ...args: readonly string[]): ChildProcess {
  const main = fileURLToPath(file)
  const child = spawn(process.execPath, [...args.filter(isFlag), main, ...args.filter((arg) => !isFlag(arg))], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  children.push(child)
  return child
}

const isFlag = (arg: string): boolean => arg.startsWith('--')

async function startServer(): Promise<{
  readonly child: ChildProcess
  readonly port: number
  readonly ask: () => Promise<Record<string, unknown>>
}> {
  const child = start(
    new URL('flood-server.ts', import.meta.url),
    `--max-old-space-size=${HEAP}`,
    '--conditions=rtapi-source',
  )
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  return {
    child,
    port,
    async ask() {
      const answer = once(child, 'message')
      child.send('memory')
      return ((await answer) as [Record<string, unknown>])[0]
    },
  }
}

/**
 * They are on other machines in reality. For figures they get what the server and the others leave them of this one; where
 * that may be next to nothing they would not be attackers any more.
 */
async function attack(port: number): Promise<readonly (number | string)[]> {
  const child = start(new URL('flood-attackers.ts', import.meta.url), String(port), String(ATTACKERS))
  if (process.env['FIGURES'] !== undefined) setPriority(child.pid ?? 0, constants.priority.PRIORITY_LOW)
  return ((await once(child, 'message')) as [(number | string)[]])[0]
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
  const { child, port, ask } = await startServer()
  const attackers = attack(port)
  const times = (await Promise.all(Array.from({ length: HONEST }, (_, i) => beHonest(port, `honest ${i}`)))).flat()
  const codes = await attackers
  const { peak, reports } = await ask()
  expect(child.exitCode).toBeNull()
  expect(times).toHaveLength(HONEST * REQUESTS)
  expect(Number(peak) / 1_048_576).toBeLessThan(MEMORY)
  // Nothing of it was a fault of the server.
  expect(Object.keys(reports as object).filter((during) => during !== 'sendBudget')).toEqual([])
  // Whoever sends too much or what is broken is limited or gone; whoever does not read, or tries keys, is slowed down.
  expect(codes.filter((code) => code !== 'served').length).toBeGreaterThanOrEqual(ATTACKERS / 2)
  // Those who get too little of this machine come too late with what they have to say.
  const late = [4408, 4454]
  for (const code of codes) expect([4400, 4413, 4429, 4450, 1006, 1009, ...late, 'limited', 'served']).toContain(code)
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
}, 240_000)

function count(codes: readonly (number | string)[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const code of codes) counts[String(code)] = (counts[String(code)] ?? 0) + 1
  return counts
}
