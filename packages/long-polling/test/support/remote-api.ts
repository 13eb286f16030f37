import type { Api } from '@rtapi/core'
import { HttpClient, type HttpClientOptions } from './http-client.ts'

/** An API served elsewhere, as `connect` of @rtapi/testing takes it: each of its clients comes over HTTP. */
export interface RemoteApi extends Api {
  /** The clients so far. */
  readonly clients: readonly Promise<HttpClient>[]
}

/** @param api - what the clients need to know of the API: its limits, codecs and clock. */
export function remoteApi(api: Api, url: string, options: HttpClientOptions = {}): RemoteApi {
  const clients: Promise<HttpClient>[] = []
  return {
    ...api,
    clients,
    accept(socket) {
      let client: Promise<HttpClient> | undefined
      const open = (frame: string): Promise<HttpClient> => {
        const opening = HttpClient.open(url, { ...options, frame, onFrame: (data) => socket.send({ data }) })
        opening
          .then(({ closed }) => closed)
          .then(({ code, reason }) => socket.close(code, reason))
          .catch((error: unknown) => socket.close(1006, String(error)))
        clients.push(opening)
        return opening
      }
      return {
        receive(data) {
          // The first frame opens the session; those behind it wait for the session's id.
          if (client === undefined) client = open(String(data))
          else void client.then((opened) => opened.send(data)).catch(() => undefined)
        },
        drained: () => undefined,
        closed: () => void client?.then((opened) => opened.close()).catch(() => undefined),
      }
    },
  }
}
