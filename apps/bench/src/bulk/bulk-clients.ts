/** The subscribers of a bulk change: a process of its own. */
import { setTimeout as delay } from 'node:timers/promises'
import { type ServerMessage, keyId } from '@rtapi/core/protocol'
import { WebSocket } from 'ws'
import { answerCalls } from '../bench-process.ts'
import type { Endpoint } from '../commands.ts'
import { type BulkClientCommands, ROWS, TOPICS } from './bulk-commands.ts'

const SUBSCRIBERS = 100

/** What the subscriber with this number asks for, and the rows which that has. */
function viewOf(n: number): { readonly query: object; readonly size: number } {
  if (n % 10 === 0) return { query: {}, size: ROWS }
  if (n % 2 === 0) return { query: { limit: 100 }, size: 100 }
  return { query: { where: { topicId: n } }, size: ROWS / TOPICS }
}

/** One subscriber: the round of each row that it shows. */
class Subscriber {
  readonly socket: WebSocket
  readonly rounds = new Map<unknown, unknown>()
  readonly size: number
  isWhole = false

  constructor({ port, path, protocol }: Endpoint, n: number) {
    const { query, size } = viewOf(n)
    this.size = size
    this.socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocol)
    this.socket.on('open', () => {
      this.socket.send(
        JSON.stringify([
          { type: 'hello', versions: [1] },
          { type: 'subscribe', id: 'v', resource: 'items', ...query },
        ]),
      )
    })
    this.socket.on('message', (data: Buffer) => {
      const frame = JSON.parse(data.toString()) as ServerMessage | readonly ServerMessage[]
      for (const message of Array.isArray(frame) ? (frame as readonly ServerMessage[]) : [frame as ServerMessage])
        this.#take(message)
    })
  }

  isOf(round: number): boolean {
    if (!this.isWhole || this.rounds.size !== this.size) return false
    for (const shown of this.rounds.values()) if (shown !== round) return false
    return true
  }

  #take(message: ServerMessage): void {
    if (message.type === 'ping') this.socket.send('{"type":"pong"}')
    else if (message.type === 'snapshot') {
      if (message.part === 0) this.rounds.clear()
      for (const { key, data } of message.rows) this.rounds.set(keyId(key), data['round'])
      this.isWhole = message.done
    } else if (message.type === 'changes') {
      for (const { action, key, data } of message.changes) {
        if (action === 'leave' || action === 'delete') this.rounds.delete(keyId(key))
        else this.rounds.set(keyId(key), data?.['round'])
      }
    } else if (message.type === 'end' || message.type === 'goodbye') throw new Error(JSON.stringify(message))
  }
}

let subscribers: Subscriber[] = []

async function until(isDone: (subscriber: Subscriber) => boolean): Promise<void> {
  for (const subscriber of subscribers) while (!isDone(subscriber)) await delay(5)
}

const commands: BulkClientCommands = {
  async connect(endpoint) {
    subscribers = Array.from({ length: SUBSCRIBERS }, (_, n) => new Subscriber(endpoint, n))
    await until(({ isWhole, rounds, size }) => isWhole && rounds.size === size)
  },
  converged: (round) => until((subscriber) => subscriber.isOf(round)),
  async disconnect() {
    for (const { socket } of subscribers) socket.close()
    subscribers = []
    await delay(100)
  },
}
answerCalls(commands)
