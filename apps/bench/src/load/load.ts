/** The process of the load clients. */
import { setTimeout as delay } from 'node:timers/promises'
import { answerCalls } from '../bench-process.ts'
import type { Endpoint, LoadCommands, Seen } from '../commands.ts'
import { quantile } from '../measure/median.ts'
import { type Workload, microseconds, randomFrom } from '../workload.ts'
import { type Dialect, type Subscription, dialects, subscriptionsOf } from './dialect.ts'
import { type LoadEvents, LoadSocket } from './load-socket.ts'

/** Sockets that are connected and subscribed at the same time. */
const CONNECTING_AT_ONCE = 50
const AT = Buffer.from('"at":')

class Load implements LoadCommands, LoadEvents {
  private dialect: Dialect | undefined
  private workload: Workload | undefined
  private delivery: Buffer = Buffer.alloc(0)
  private reply: Buffer = Buffer.alloc(0)
  private readyMark: Buffer = Buffer.alloc(0)
  private readonly onOpen: ((() => void) | undefined)[] = []
  /** Subscriptions that each socket still waits for, and what to do when there are none. */
  private readonly missing: { left: number; done: () => void }[] = []
  private readonly requesters: LoadSocket[] = []
  private connecting = true
  private requesting = false
  private requests = 0
  private inFlight = 0
  private deliveries = 0
  private timed = false
  private latencies: number[] = []

  async connect(workload: Workload, endpoint: Endpoint, dialectName: string): Promise<void> {
    const dialect = dialects[dialectName]
    if (dialect === undefined) throw new Error(`there is no dialect ${dialectName}`)
    this.workload = workload
    this.dialect = dialect
    this.delivery = Buffer.from(dialect.delivery)
    this.reply = Buffer.from(dialect.reply)
    this.readyMark = Buffer.from(dialect.ready)
    this.timed = workload.traffic.type === 'changes' && workload.traffic.atOnce === 1
    const subscriptions = [...subscriptionsOf(workload).entries()]
    const connectNext = async (): Promise<void> => {
      for (let next = subscriptions.shift(); next !== undefined; next = subscriptions.shift()) {
        await this.connectOne(next[0], endpoint, dialect, next[1])
      }
    }
    await Promise.all(Array.from({ length: CONNECTING_AT_ONCE }, connectNext))
    const { traffic, sockets } = workload
    for (let i = 0; traffic.type === 'requests' && i < traffic.sockets; i++) {
      this.requesters.push(await this.connectOne(sockets + i, endpoint, dialect, []))
    }
    this.connecting = false
  }

  private async connectOne(
    index: number,
    endpoint: Endpoint,
    dialect: Dialect,
    subscriptions: readonly Subscription[],
  ): Promise<LoadSocket> {
    const socket = new LoadSocket(index, endpoint, this)
    await new Promise<void>((resolve) => (this.onOpen[index] = resolve))
    const ready = new Promise<void>((done) => (this.missing[index] = { left: subscriptions.length, done }))
    for (const frame of dialect.hello()) socket.send(frame)
    for (const frame of dialect.subscribe(subscriptions)) socket.send(frame)
    if (subscriptions.length > 0) await ready
    return socket
  }

  async request(milliseconds: number): Promise<{ requests: number }> {
    this.requests = 0
    this.requesting = true
    for (const socket of this.requesters) this.sendRequest(socket)
    await delay(milliseconds)
    this.requesting = false
    while (this.inFlight > 0) await delay(1)
    return { requests: this.requests }
  }

  private readonly random = randomFrom(3)

  private sendRequest(socket: LoadSocket): void {
    const { dialect, workload } = this
    if (dialect === undefined || workload?.traffic.type !== 'requests') throw new Error('this row sends no requests')
    this.inFlight++
    const key = 1 + Math.floor(this.random() * workload.records)
    socket.send(dialect.request(++this.requests, workload.traffic.action, key))
  }

  seen(): Promise<Seen> {
    const { deliveries, latencies } = this
    this.deliveries = 0
    this.latencies = []
    const latency = latencies.length === 0 ? null : { p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) }
    return Promise.resolve({ deliveries, latency })
  }

  opened(socket: LoadSocket): void {
    this.onOpen[socket.index]?.()
  }

  frames(socket: LoadSocket, bytes: Buffer): void {
    if (this.connecting) this.countReady(socket, bytes)
    const deliveries = count(bytes, this.delivery)
    this.deliveries += deliveries
    if (this.timed && deliveries > 0) this.takeTime(bytes)
    if (this.requesters.length > 0) this.takeReplies(socket, bytes)
  }

  closed(socket: LoadSocket): void {
    throw new Error(`the server has closed socket ${socket.index}`)
  }

  private countReady(socket: LoadSocket, bytes: Buffer): void {
    const missing = this.missing[socket.index]
    if (missing === undefined || missing.left === 0) return
    missing.left -= count(bytes, this.readyMark)
    if (missing.left <= 0) missing.done()
  }

  private takeTime(bytes: Buffer): void {
    const start = bytes.lastIndexOf(AT) + AT.length
    let at = 0
    for (let i = start; i < bytes.length; i++) {
      const digit = (bytes[i] ?? 0) - 48
      if (digit < 0 || digit > 9) break
      at = at * 10 + digit
    }
    this.latencies.push(microseconds() - at)
  }

  private takeReplies(socket: LoadSocket, bytes: Buffer): void {
    for (let replies = count(bytes, this.reply); replies > 0; replies--) {
      this.inFlight--
      if (bytes.includes('"ok":false')) throw new Error(`a request failed: ${bytes.toString()}`)
      if (this.requesting) this.sendRequest(socket)
    }
  }
}

function count(bytes: Buffer, mark: Buffer): number {
  let found = 0
  for (let at = bytes.indexOf(mark); at >= 0; at = bytes.indexOf(mark, at + mark.length)) found++
  return found
}

const load = new Load()
answerCalls({
  connect: load.connect.bind(load),
  request: load.request.bind(load),
  seen: load.seen.bind(load),
} satisfies LoadCommands)
