import type { IncomingMessage } from 'node:http'
import { type AcceptGate, type OriginPolicy, originProblem } from '@rtapi/core'
import type { Server } from 'socket.io'
import { requestAddress, sourceOf } from './admission.ts'
import type { EngineConnection } from './engine-link.ts'

type Engine = Server['engine']

/**
 * Stands before a socket.io server, for all of its namespaces: refuses handshakes before there is a connection. The
 * stock client, which does not come back by itself after a namespace has refused it, does after this.
 */
export class EngineDoor {
  private readonly server: Server
  private readonly policy: OriginPolicy
  /** Of connections, whatever namespaces they join. */
  private readonly gate: AcceptGate
  private engine: Engine | null = null
  private isOpen = false

  constructor(server: Server, policy: OriginPolicy, gate: AcceptGate) {
    this.server = server
    this.policy = policy
    this.gate = gate
  }

  /** Puts the checks before the server's own `allowRequest`; answers the undo. */
  open(): () => void {
    this.isOpen = true
    this.watchEngine()
    // What the server hands to an engine that it is attached to later, and what the present one has.
    const undo = [this.server._opts as Engine['opts'], this.engine?.opts].map((options) =>
      options === undefined ? () => undefined : this.guard(options),
    )
    return () => {
      this.isOpen = false
      for (const run of undo) run()
      this.engine?.off('connection', this.onConnection)
    }
  }

  private guard(options: Engine['opts']): () => void {
    const { allowRequest } = options
    const guarded: typeof allowRequest = (request, answer) => {
      const problem = this.problem(request)
      if (problem !== undefined) answer(problem, false)
      else if (allowRequest === undefined) answer(null, true)
      else allowRequest(request, answer)
    }
    options.allowRequest = guarded
    return () => {
      if (options.allowRequest !== guarded) return
      if (allowRequest === undefined) delete options.allowRequest
      else options.allowRequest = allowRequest
    }
  }

  private problem(request: IncomingMessage): string | undefined {
    this.watchEngine()
    return (
      originProblem(sourceOf(request), this.policy) ??
      this.gate.fullness(this.addressOf(request, request.socket?.remoteAddress)) ??
      this.gate.haste()
    )
  }

  /** A server may be attached after it is served. */
  private watchEngine(): void {
    const engine = this.server.engine as Engine | undefined
    if (engine === undefined || this.engine === engine) return
    this.engine = engine
    engine.on('connection', this.onConnection)
    engine.use(this.checkOrigin)
  }

  /** Engine.IO asks `allowRequest` for handshakes alone: not for further polls, nor for the upgrade of a session. */
  private readonly checkOrigin = (request: IncomingMessage, _: unknown, next: (problem?: Error) => void): void => {
    const isFurther = new URLSearchParams(request.url?.split('?', 2)[1]).has('sid')
    const problem = this.isOpen && isFurther ? originProblem(sourceOf(request), this.policy) : undefined
    next(problem === undefined ? undefined : new Error(problem))
  }

  private readonly onConnection = (conn: EngineConnection): void => {
    const address = this.addressOf(conn.request, conn.remoteAddress)
    this.gate.enter(address)
    conn.once('close', () => this.gate.leave(address))
  }

  private addressOf(request: IncomingMessage | null, remote: string | undefined): string {
    return requestAddress(request, remote, this.policy)
  }
}
