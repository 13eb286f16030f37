import { once } from 'node:events'
import { type IncomingMessage, type RequestOptions, type ServerResponse, request as ask } from 'node:http'
import type { SeededRandom } from '@rtapi/testing'
import { type Listening, listen } from './listen.ts'

/** What a proxy does to requests and answers, each with a probability. */
export interface Chaos {
  /** A request is lost before it reaches the server. */
  readonly loseRequest?: number
  /** An answer is lost, whole or from somewhere in its middle. */
  readonly loseAnswer?: number
  /** A request reaches the server twice; the client gets the answer to either. */
  readonly repeat?: number
  /** A request waits, so that later ones overtake it. */
  readonly delay?: number
  /** A request of long ago reaches the server once more; nobody gets the answer. */
  readonly replay?: number
  /** Milliseconds that a delayed request waits at most. @default 15 */
  readonly longest?: number
}

/** How often each fault was injected. */
export type Injected = Record<Exclude<keyof Chaos, 'longest'>, number>

/** One request, to be sent again as it was. */
interface Recorded {
  readonly options: RequestOptions
  readonly body: Buffer
}

interface Answer {
  readonly message: IncomingMessage
  readonly body: Buffer | undefined
}

/** Requests that may be replayed. */
const REMEMBERED = 50

/**
 * An HTTP proxy that does what networks and proxies do at their worst. It reads requests whole, so that it can send them
 * late, twice, or never; event streams pass through it, and break.
 */
export class ChaosProxy {
  readonly injected: Injected = { loseRequest: 0, loseAnswer: 0, repeat: 0, delay: 0, replay: 0 }
  readonly #target: number
  readonly #random: SeededRandom
  readonly #past: Recorded[] = []
  #chaos: Chaos
  #listening: Listening | undefined

  private constructor(target: number, random: SeededRandom, chaos: Chaos) {
    this.#target = target
    this.#random = random
    this.#chaos = chaos
  }

  /** @param target - the port that it stands before. */
  static async open(target: number, random: SeededRandom, chaos: Chaos): Promise<ChaosProxy> {
    const proxy = new ChaosProxy(target, random, chaos)
    proxy.#listening = await listen((request, response) => {
      proxy.#pass(request, response).catch(() => response.destroy())
    })
    return proxy
  }

  get origin(): string {
    return this.#listening?.origin ?? ''
  }

  /** From now on everything passes as it is. */
  calm(): void {
    this.#chaos = {}
  }

  async end(): Promise<void> {
    await this.#listening?.end()
  }

  async #pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method, url, headers } = incoming
    const options = { port: this.#target, host: '127.0.0.1', method, path: url, headers, agent: false }
    const recorded = { options, body: await bodyOf(incoming) }
    if (this.#decides('loseRequest')) return void outgoing.destroy()
    if (this.#decides('delay')) await this.#pause()
    if (this.#past.length > 0 && this.#decides('replay')) void this.#send(this.#random.pick(this.#past)).catch(nothing)
    if (method === 'POST') {
      this.#past.push(recorded)
      if (this.#past.length > REMEMBERED) this.#past.shift()
    }
    if (method === 'POST' && this.#decides('repeat')) {
      const first = this.#send(recorded)
      const second = this.#pause().then(() => this.#send(recorded))
      const [told, untold] = this.#random.chance(0.5) ? ([first, second] as const) : ([second, first] as const)
      untold.catch(nothing)
      return await this.#answer(await told, outgoing)
    }
    const gone = new AbortController()
    outgoing.once('close', () => gone.abort())
    await this.#answer(await this.#send(recorded, gone.signal), outgoing)
  }

  /** Sends a request; answers its answer, whole unless it is a stream. */
  async #send({ options, body }: Recorded, signal?: AbortSignal): Promise<Answer> {
    const request = ask({ ...options, ...(signal === undefined ? {} : { signal }) })
    request.end(body)
    const [message] = (await once(request, 'response')) as [IncomingMessage]
    const isStream = message.headers['content-type']?.startsWith('text/event-stream') === true
    return { message, body: isStream ? undefined : await bodyOf(message) }
  }

  async #answer({ message, body }: Answer, outgoing: ServerResponse): Promise<void> {
    outgoing.writeHead(message.statusCode ?? 502, message.headers)
    if (body === undefined) return await this.#stream(message, outgoing)
    if (!this.#decides('loseAnswer')) return void outgoing.end(body)
    // Some of it comes, or nothing: then the client does not even know whether it was taken.
    if (body.length === 0 || this.#random.chance(0.5)) return void outgoing.destroy()
    outgoing.write(body.subarray(0, this.#random.integer(body.length)))
    setTimeout(() => outgoing.destroy(), 1)
  }

  /** Passes a stream on, until it breaks in the middle of something. */
  async #stream(message: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    outgoing.flushHeaders()
    message.on('error', nothing)
    for await (const chunk of message as AsyncIterable<Buffer>) {
      if (this.#decides('loseAnswer')) {
        outgoing.write(chunk.subarray(0, this.#random.integer(chunk.length)))
        setTimeout(() => outgoing.destroy(), 1)
        return void message.destroy()
      }
      outgoing.write(chunk)
    }
    outgoing.end()
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, this.#random.integer(this.#chaos.longest ?? 15)))
  }

  #decides(what: keyof Injected): boolean {
    if (!this.#random.chance(this.#chaos[what] ?? 0)) return false
    this.injected[what]++
    return true
  }
}

async function bodyOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of message as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function nothing(): undefined {
  return undefined
}
