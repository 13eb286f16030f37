/** One request, with its answer in the hands of the test. */
export interface ScriptedRequest {
  readonly method: string
  /** Path and query. */
  readonly path: string
  readonly headers: Headers
  readonly body: string
  readonly init: RequestInit
  /** Whether the client no longer waits for it. */
  readonly aborted: boolean
  /** Answers with frames: those behind `from`. */
  frames(from: number, ...frames: readonly string[]): Promise<void>
  answer(response: Response): Promise<void>
  /** The network fails. */
  fail(): Promise<void>
}

/** Lets everything go on that a promise has set off; `Response` needs more than microtasks. */
export async function settleFetch(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
}

/** A server of HTTP whose answers are the test's. */
export class ScriptedFetch {
  readonly requests: ScriptedRequest[] = []

  readonly fetch = (url: string, init: RequestInit): Promise<Response> => {
    let resolve: (response: Response) => void = () => undefined
    let reject: (error: Error) => void = () => undefined
    const promise = new Promise<Response>((...settle) => ([resolve, reject] = settle))
    const signal = init.signal ?? undefined
    const answer = async (response: Response): Promise<void> => {
      resolve(response)
      await settleFetch()
    }
    signal?.addEventListener('abort', () => reject(new Error('aborted')))
    if (signal?.aborted === true) reject(new Error('aborted'))
    const { pathname, search } = new URL(url)
    this.requests.push({
      method: init.method ?? 'GET',
      path: pathname + search,
      headers: new Headers(init.headers),
      body: typeof init.body === 'string' ? init.body : '',
      init,
      get aborted() {
        return signal?.aborted === true
      },
      frames: (from, ...frames) => answer(framesAnswer(from, frames)),
      answer,
      fail: async () => {
        reject(new TypeError('fetch failed'))
        await settleFetch()
      },
    })
    return promise
  }

  /** Takes the oldest request that nobody has looked at; fails if there is none. */
  take(): ScriptedRequest {
    const request = this.requests.shift()
    if (request === undefined) throw new Error('the client has asked for nothing')
    return request
  }
}

/** An answer of the session `abc`. */
export function framesAnswer(
  from: number,
  frames: readonly string[],
  closed?: { readonly code: number; readonly reason: string },
): Response {
  const head = { session: 'abc', from, cursor: from + frames.length, ...(closed === undefined ? {} : { closed }) }
  return new Response([JSON.stringify(head), ...frames, ''].join('\n'))
}

/** A refusal, as a server of rtapi writes it. */
export function refusal(
  status: number,
  message: string,
  { retryAfter, headers }: { readonly retryAfter?: number; readonly headers?: Record<string, string> } = {},
): Response {
  const error = { code: 'whatever', message, retryable: false, ...(retryAfter === undefined ? {} : { retryAfter }) }
  return new Response(JSON.stringify({ type: 'reply', ok: false, error }), { status, ...(headers && { headers }) })
}
