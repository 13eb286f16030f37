import { type Api, type SocketEvents, type TransportSocket, jsonCodec } from '@rtapi/core'
import type { ClientTransport, TransportLink, TransportRequest } from '../../src/client-transport.ts'

/** A transport to an API in the same process. Frames arrive later, as over any network, and in order. */
export class ApiTransport implements ClientTransport {
  readonly name = 'memory'
  readonly #api: Api
  /** The network carries nothing: links cannot be opened. */
  offline = false
  #link: ApiLink | undefined

  constructor(api: Api) {
    this.#api = api
  }

  connect(request: TransportRequest): TransportLink {
    if (this.offline) {
      queueMicrotask(() => request.onClose(1006, ''))
      return { send: () => undefined, close: () => undefined }
    }
    this.#link = new ApiLink(this.#api, request)
    return this.#link.client
  }

  /** The network fails: each end learns only that the link is gone, and what was under way is lost. */
  drop(): void {
    this.#link?.end(1006, '')
    this.#link = undefined
  }
}

class ApiLink {
  readonly client: TransportLink
  readonly #request: TransportRequest
  readonly #events: SocketEvents
  /** Each end as long as it may be called. */
  #clientOpen = true
  #serverOpen = true

  constructor(api: Api, request: TransportRequest) {
    this.#request = request
    const server: TransportSocket = {
      id: crypto.randomUUID(),
      bufferedAmount: 0,
      send: ({ data }) => this.#toClient(() => request.onFrame(String(data))),
      close: (code, reason) => queueMicrotask(() => this.end(code, reason)),
    }
    this.client = {
      send: (frame) => this.#toServer(() => this.#events.receive(frame)),
      close: (code, reason) => {
        this.#clientOpen = false
        this.#toServer(() => this.end(code, reason))
      },
    }
    this.#events = api.accept(server, { transport: 'memory', url: request.url, headers: {} }, jsonCodec)
    this.#toClient(() => request.onOpen())
  }

  end(code: number, reason: string): void {
    if (this.#serverOpen) {
      this.#serverOpen = false
      this.#events.closed(code, reason)
    }
    if (this.#clientOpen) {
      this.#clientOpen = false
      this.#request.onClose(code, reason)
    }
  }

  #toClient(run: () => void): void {
    queueMicrotask(() => {
      if (this.#clientOpen) run()
    })
  }

  #toServer(run: () => void): void {
    queueMicrotask(() => {
      if (this.#serverOpen) run()
    })
  }
}
