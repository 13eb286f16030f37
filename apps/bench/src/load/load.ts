/** The process of the load clients. */
import { setTimeout as delay } from 'node:timers/promises'
import { answerCalls } from '../bench-process.ts'
import type { Endpoint, LoadCommands, Seen } from '../commands.ts'
import { quantile } from '../measure/median.ts'
import { type Workload, microseconds, randomFrom } from '../workload.ts'
import { type Dialect, type DialectName, type Subscription, dialects, subscriptionsOf } from './dialect.ts'
import { type LoadEvents, LoadSocket } from './load-socket.ts'

/** Sockets that are connected and subscribed at the same time. */
const CONNECTING_AT_ONCE = 50

interface Missing {
  readonly mark: Buffer
  left: number
  readonly done: () => void
}

class Load implements LoadCommands, LoadEvents {
  private dialect: Dialect | undefined
  private workload: Workload | undefined
  private delivery: Buffer = Buffer.alloc(0)
  private reply: Buffer = Buffer.alloc(0)
  private refusal: Buffer = Buffer.alloc(0)
  private at: Buffer = Buffer.alloc(0)
  /** Those of higher index send requests. */
  private sockets = Number.POSITIVE_INFINITY
  private readonly onOpen: ((() => void) | undefined)[] = []
  /** Marks that each socket still waits for, and what to do when all have come. */
  private readonly missing: (Missing | undefined)[] = []
  private readonly requesters: LoadSocket[] = []
  private connecting = true
  private requesting = false
  private requests = 0
  private inFlight = 0
  private deliveries = 0
  private timed = false
  private latencies: number[] = []
  /** The time of the newest change that each socket has seen, where all follow one record. */
  private newest: number[] | undefined

  async connect(workload: Workload, endpoint: Endpoint, dialectName: DialectName): Promise<void> {
    const dialect: Dialect = dialects[dialectName]
    this.workload = workload
    this.dialect = dialect
    this.delivery = Buffer.from(dialect.delivery)
    this.reply = Buffer.from(dialect.reply)
    this.refusal = Buffer.from(dialect.refusal)
    this.at = Buffer.from(dialect.at)
    this.sockets = workload.sockets
    this.timed = workload.traffic.type === 'changes' && workload.traffic.atOnce === 1
    if (workload.following.type === 'all' && workload.records === 1)
      this.newest = Array.from({ length: workload.sockets }, () => 0)
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
    const socket = new LoadSocket(index, endpoint, dialect.signsOfLife, this)
    await new Promise<void>((resolve) => (this.onOpen[index] = resolve))
    await this.say(socket, dialect.hello(), dialect.greeting, 1)
    await this.say(socket, dialect.subscribe(subscriptions), dialect.ready, subscriptions.length)
    return socket
  }

  /** Sends frames; settles when the mark has come so many times, at once if none is given. */
  private async say(
    socket: LoadSocket,
    frames: readonly string[],
    mark: string | undefined,
    times: number,
  ): Promise<void> {
    const heard = new Promise<void>((done) => {
      if (mark === undefined || times === 0) done()
      else this.missing[socket.index] = { mark: Buffer.from(mark), left: times, done }
    })
    for (const frame of frames) socket.send(frame)
    await heard
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
    const seenByAll = this.newest === undefined ? null : Math.min(...this.newest)
    return Promise.resolve({ deliveries, latency, seenByAll })
  }

  opened(socket: LoadSocket): void {
    this.onOpen[socket.index]?.()
  }

  frames(socket: LoadSocket, bytes: Buffer): void {
    if (this.connecting) this.countMissing(socket, bytes)
    const deliveries = count(bytes, this.delivery)
    this.deliveries += deliveries
    if (deliveries > 0) {
      if (this.timed) this.latencies.push(microseconds() - this.timeIn(bytes))
      else if (this.newest !== undefined) this.newest[socket.index] = this.timeIn(bytes)
    }
    if (socket.index >= this.sockets) this.takeReplies(socket, bytes)
  }

  closed(socket: LoadSocket): void {
    throw new Error(`the server has closed socket ${socket.index}`)
  }

  private countMissing(socket: LoadSocket, bytes: Buffer): void {
    const missing = this.missing[socket.index]
    if (missing === undefined) return
    missing.left -= count(bytes, missing.mark)
    if (missing.left > 0) return
    this.missing[socket.index] = undefined
    missing.done()
  }

  /** The time that the last change in these bytes carries. */
  private timeIn(bytes: Buffer): number {
    const start = bytes.lastIndexOf(this.at) + this.at.length
    let at = 0
    for (let i = start; i < bytes.length; i++) {
      const digit = (bytes[i] ?? 0) - 48
      if (digit < 0 || digit > 9) break
      at = at * 10 + digit
    }
    return at
  }

  private takeReplies(socket: LoadSocket, bytes: Buffer): void {
    if (bytes.includes(this.refusal)) throw new Error(`a request failed: ${bytes.toString()}`)
    for (let replies = count(bytes, this.reply); replies > 0; replies--) {
      this.inFlight--
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
