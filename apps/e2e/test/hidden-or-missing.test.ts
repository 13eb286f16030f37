import { once } from 'node:events'
import { seededRandom } from '@rtapi/testing'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import { samePopulation } from '../../../packages/testing/test/core/security/same-population.ts'
import { startAttackedBoard } from '../src/attacker/start-attacked-board.ts'
import type { BoardProcess } from '../src/board-process.ts'
import { newDatabase } from '../src/databases.ts'
import { create } from '../src/stage.ts'
import { connect } from '../src/wire-client.ts'

/** What somebody measures who wants to tell records of others from none: on a database, by the network. */

// It is measured many times, and a busy machine takes its time.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 })

/** Tries of each kind of request in one round; `TRIES=20000` finds smaller differences. */
const tries = Number(process.env['TRIES'] ?? 2_000)

/** As it stands in a frame, with the id of its request and the key for which it asks. */
const requests: Readonly<Record<string, string>> = {
  get: '{"type":"request","id":"ID","resource":"tasks","action":"get","key":KEY}',
  update: '{"type":"request","id":"ID","resource":"tasks","action":"update","key":KEY,"data":{"title":"x"}}',
  delete: '{"type":"request","id":"ID","resource":"tasks","action":"delete","key":KEY}',
  subscribe: '{"type":"subscribe","id":"ID","resource":"tasks","key":KEY}',
}

/** With `TRIES` every kind of request by each ORM; else each kind by one, since all this is waiting. */
const isWhole = process.env['TRIES'] !== undefined

describe.each([
  ['mikro-orm', ['get', 'update']],
  ['sequelize', ['delete', 'subscribe']],
])('A28 over ws, by %s on PostgreSQL: a hidden record', (orm, some) => {
  let board: BoardProcess
  let attacker: Attacker
  let hidden: readonly number[]

  beforeAll(async () => {
    const database = await newDatabase('postgres')
    board = await startAttackedBoard(['--orm', orm, '--db', database.url, '--layer', 'memory', '--seed', 'empty'])
    const bob = await connect(board.line, { token: await board.login('bob') })
    const projectId = await create(bob, 'projects', { name: 'of bob alone' })
    const keys: number[] = []
    for (let i = 0; i < 100; i++) keys.push(await create(bob, 'tasks', { projectId, title: `${i}` }))
    hidden = keys
    // Who may see nothing at all is answered without the database.
    const token = await board.login('alice')
    const alice = await connect(board.line, { token })
    await create(alice, 'projects', { name: 'of alice' })
    attacker = await Attacker.open(board.line.ws, token)
    await Promise.all([alice.close(), bob.close()])
  })

  afterAll(async () => {
    attacker.close()
    await board.stop('SIGKILL')
  })

  test.each(isWhole ? Object.keys(requests) : some)(
    'answers %s in the bytes and the time of one that is not there',
    async (name) => {
      const random = seededRandom(28)
      const bytes = new Set<string>()
      /** -1: hidden ones are quicker, 1: slower, 0: nobody can tell. */
      const round = async (count: number): Promise<-1 | 0 | 1> => {
        const times: readonly [number[], number[]] = [[], []]
        for (let i = 0; i < count / 2; i++) {
          const key = hidden[i % hidden.length] ?? 0
          // In pairs of a random order, so that what disturbs the machine disturbs both alike.
          const isFirst = random.chance(0.5)
          for (const isHidden of [isFirst, !isFirst]) {
            const { time, answer } = await attacker.ask(requests[name] ?? '', isHidden ? key : key + 1_000_000)
            times[isHidden ? 0 : 1].push(time)
            bytes.add(answer)
          }
        }
        const [one, other] = times
        const p = samePopulation(one, other)
        return p >= 0.001 ? 0 : median(one) < median(other) ? -1 : 1
      }
      await round(200)
      // Of equal times one round in a thousand looks different by chance; two in a row, and in the same direction, are one in
      // two millions. What is different indeed is so in every round.
      const first = await round(tries)
      const isDifferent = first !== 0 && first === (await round(tries))
      expect([...bytes]).toHaveLength(1)
      expect(isDifferent).toBe(false)
    },
  )
})

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
}

/** One connection, which sends one frame at a time and stops the time until it is answered. */
class Attacker {
  readonly #socket: WebSocket
  #lastId = 10_000

  private constructor(socket: WebSocket) {
    this.#socket = socket
  }

  static async open(url: string, token: string): Promise<Attacker> {
    const socket = new WebSocket(url, ['rtapi.v1.json'])
    await once(socket, 'open')
    const attacker = new Attacker(socket)
    await attacker.#exchange(JSON.stringify({ type: 'hello', versions: [1], token }))
    return attacker
  }

  /** Answers the milliseconds, and the bytes but for what has a new value each time: the id, and the name of a view. */
  async ask(frame: string, key: number): Promise<{ readonly time: number; readonly answer: string }> {
    const id = `r${++this.#lastId}`
    const from = performance.now()
    const answer = await this.#exchange(frame.replace('ID', id).replace('KEY', String(key)))
    const time = performance.now() - from
    if (frame.includes('subscribe')) await this.#exchange(`{"type":"unsubscribe","id":"${id}"}`)
    return {
      time,
      answer: answer.replace(id, 'ID').replaceAll(/"(feed|position)":"[^"]+"/g, '"$1":"…"'),
    }
  }

  close(): void {
    this.#socket.terminate()
  }

  async #exchange(frame: string): Promise<string> {
    this.#socket.send(frame)
    for (;;) {
      const [data] = (await once(this.#socket, 'message')) as [Buffer]
      const text = data.toString()
      if (text !== '{"type":"ping"}') return text
      this.#socket.send('{"type":"pong"}')
    }
  }
}
