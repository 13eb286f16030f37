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
        const onFrame = (data: string): void => socket.send({ data })
        const headers = { ...options.headers, ...authorization(frame) }
        const opening = HttpClient.open(url, { ...options, headers, frame, onFrame })
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

/** A token in `hello` opens the session; the requests that follow have to bring it themselves. */
function authorization(frame: string): Readonly<Record<string, string>> {
  const [first] = [JSON.parse(frame) as { readonly token?: string }].flat()
  return first?.token === undefined ? {} : { authorization: `Bearer ${first.token}` }
}
