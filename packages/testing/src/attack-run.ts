import { jsonCodec, type Codec } from '@rtapi/core'
import { AttackLink } from './attack-link.ts'
import { type AttackWorld, type AttackWorldOptions, codecsWith, openAttackWorld } from './attack-world.ts'
import { check, checkEqual } from './conformance.ts'
import { turn } from './event-loop.ts'
import type { RawConnect, TransportFactory, TransportSubject } from './transport-run.ts'

/** A transport to be attacked: what `transportSuite` takes too. */
export interface AttackFactory extends Pick<TransportFactory, 'name' | 'serve' | 'timeout'> {
  /** In which frames are read and, with `write`, written. @default JSON */
  readonly codec?: Codec
  /**
   * Writes what stands in JSON as the codec would, also what no encoder writes: names that stand twice, `1e400`, lone
   * surrogates, thousands of levels. @default as it stands
   */
  readonly write?: (json: string) => string | Uint8Array
}

/** One attack, tried on a world of its own. */
export type AttackCase = readonly [title: string, run: (run: AttackRun) => Promise<void>, world?: AttackWorldOptions]

const TIMEOUT = 20_000

/** Nothing but the attack itself is to be refused. */
const generous = { rate: 1e9, burst: 1e9, misses: 1e9, badMessages: 1e9, connectionsPerUser: 1e9, loopLag: 1e9 }

/** A served world, and the links to it. */
export class AttackRun {
  readonly world: AttackWorld
  readonly codec: Codec
  readonly #factory: AttackFactory
  readonly #subject: TransportSubject
  readonly #links: AttackLink[] = []

  private constructor(factory: AttackFactory, world: AttackWorld, subject: TransportSubject) {
    this.#factory = factory
    this.world = world
    this.codec = factory.codec ?? jsonCodec
    this.#subject = subject
  }

  static async open(factory: AttackFactory, { limits, ...options }: AttackWorldOptions = {}): Promise<AttackRun> {
    const codecs = codecsWith(factory.codec ?? jsonCodec)
    const world = openAttackWorld({ codecs, limits: { ...generous, ...limits }, ...options })
    await world.api.ready
    return new AttackRun(factory, world, await factory.serve(world.api))
  }

  /** A link that has not said anything. It names the token in the header that every transport carries. */
  async link(token?: string): Promise<AttackLink> {
    const options: RawConnect = {
      codec: this.codec.name,
      ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
    }
    const { codec } = this
    const { write = (json: string) => json, timeout = TIMEOUT } = this.#factory
    const link = new AttackLink(await this.#subject.connect(options), { codec, write, timeout })
    this.#links.push(link)
    return link
  }

  /** A link of whom the token names, which is welcome. */
  async as(token?: string): Promise<AttackLink> {
    const link = await this.link(token)
    link.send('{"type":"hello","versions":[1]}')
    await link.next('welcome', (message): message is typeof message => message.type === 'welcome')
    return link
  }

  /** Waits until a change that was made before is with whoever may see it, and so with whoever may not. */
  async settled(): Promise<void> {
    const root = await this.as('root')
    const { id: key } = this.world.notes.create({ owner: 'root', text: 'settled' }).row
    await root.subscribe('settled', { key })
    this.world.notes.update(key, { text: 'settled now' })
    await root.until('a change', () => (root.received.includes('settled now') ? true : undefined))
    this.world.notes.delete(key)
    await root.close()
  }

  /** Others are served to the end, the operator was told of no fault, and nothing is left behind. */
  async checkHealth(): Promise<void> {
    const honest = await this.as('honest')
    checkEqual(await honest.outcome('notes', 'list'), 'ok', 'what an honest client is answered')
    checkEqual(this.world.reports, [], 'errors that were reported')
    checkEqual(Object.keys(Object.prototype), [], 'what all objects have got')
    for (const link of this.#links) await link.close()
    await honest.until('the end of all links', () => {
      const { connections, subscriptions, feeds } = this.world.api.stats()
      return connections + subscriptions + feeds === 0 ? true : undefined
    })
  }

  async end(): Promise<void> {
    for (const { raw } of this.#links) {
      raw.resume()
      await raw.abort()
    }
    await this.world.api.close()
    await this.#subject.close()
    await this.#subject.dispose?.()
    await turn()
    check(this.world.api.stats().timers === 0, 'timers are left behind')
  }
}
