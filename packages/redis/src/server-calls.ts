import { RtapiError } from '@rtapi/core'
import type { Deadlines } from './deadlines.ts'
import type { Script } from './scripts.ts'
import type { Topology } from './topology.ts'

/** Calls of the server, each of which ends in time. */
export class ServerCalls {
  readonly #topology: Topology
  readonly #deadlines: Deadlines

  constructor(topology: Topology, deadlines: Deadlines) {
    this.#topology = topology
    this.#deadlines = deadlines
  }

  /** Runs a script where its first key is. */
  run(script: Script, keys: readonly string[], values: readonly string[]): Promise<unknown> {
    const [key = ''] = keys
    const rest = [String(keys.length), ...keys, ...values]
    const reply = this.#topology.send(key, ['EVALSHA', script.sha, ...rest]).catch((error: unknown) => {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error
      return this.#topology.send(key, ['EVAL', script.text, ...rest])
    })
    return this.#within(reply)
  }

  /** Sends a command to where the key is. */
  send(key: string, args: readonly string[]): Promise<unknown> {
    return this.#within(this.#topology.send(key, args))
  }

  async #within<T>(reply: Promise<T>): Promise<T> {
    let isAnswered = false
    const answered = (): void => void (isAnswered = true)
    reply.then(answered, answered)
    try {
      return await this.#deadlines.run('answer', reply)
    } catch (error) {
      if (!isAnswered) this.#topology.timedOut(this.#deadlines.delay)
      if (error instanceof RtapiError) throw error
      throw notDone(error)
    }
  }
}

/** What Redis says is for operators, and not for clients. */
export function notDone(cause: unknown): RtapiError {
  return new RtapiError('unavailable', 'Redis did not do what was asked', { cause })
}
