import { type ClientMessage, type ServerMessage } from '@rtapi/core'
import { type ManagerOptions, type Socket, type SocketOptions, io } from 'socket.io-client'
import { onTestFinished } from 'vitest'
import { until } from './harness.ts'

type MessageOf<T extends ServerMessage['type']> = Extract<ServerMessage, { readonly type: T }>

/** The stock client, with which a test speaks the protocol by hand, until the test ends. */
export class StockClient {
  readonly socket: Socket
  readonly messages: ServerMessage[] = []
  #taken = 0

  constructor(url: string, options: Partial<ManagerOptions & SocketOptions> = {}) {
    this.socket = io(url, { reconnectionDelay: 10, ...options })
    this.socket.on('rtapi', (data: string) => {
      const frame = JSON.parse(data) as ServerMessage | ServerMessage[]
      this.messages.push(...[frame].flat())
    })
    onTestFinished(() => void this.socket.disconnect())
  }

  send(...messages: readonly ClientMessage[]): void {
    this.socket.emit('rtapi', JSON.stringify(messages.length === 1 ? messages[0] : messages))
  }

  /** The next message of this type; those before it are left out. */
  async next<T extends ServerMessage['type']>(type: T): Promise<MessageOf<T>> {
    return until(`a message ${type}`, () => {
      while (this.#taken < this.messages.length) {
        const message = this.messages[this.#taken++]
        if (message?.type === type) return message as MessageOf<T>
      }
      return undefined
    })
  }
}
