/** As the API names a user; `undefined` is nobody. */
export type UserId = string | number | undefined

/** Milliseconds after which the API is asked again of whom credentials are. */
const TRUST = 60_000
/** Different credentials of one session that are remembered. */
const MOST = 4
/** Questions within that time: asking costs the API more than it costs the client. */
const QUESTIONS = 60

/** The credentials of which a session knows that they are of its user. */
export class Credentials {
  readonly #cookie: string
  /** When each was found to be right: monotonic milliseconds. */
  readonly #known = new Map<string, number>()
  readonly #openedAt: number
  #questions = 0
  #askedSince: number

  /** Those that a session is opened with. */
  constructor(headers: Headers, now: number) {
    this.#cookie = headers.get('cookie') ?? ''
    this.#openedAt = now
    this.#askedSince = now
    this.#known.set(fingerprint(headers), now)
  }

  /** The token of `hello` counts in place of the header. Whoever comes later has to bring it in the header. */
  sayHello(token: string | undefined): void {
    if (token === undefined) return
    this.#known.clear()
    this.#known.set(JSON.stringify([`Bearer ${token}`, this.#cookie]), this.#openedAt)
  }

  /** Whether these were found to be right, and lately. */
  knows(headers: Headers, now: number): boolean {
    const at = this.#known.get(fingerprint(headers))
    return at !== undefined && now - at < TRUST
  }

  /** Whether these were ever found to be right. */
  knew(headers: Headers): boolean {
    return this.#known.has(fingerprint(headers))
  }

  /** Whether the API may be asked once more of whom credentials are; counts the question. */
  mayAsk(now: number): boolean {
    if (now - this.#askedSince >= TRUST) {
      this.#askedSince = now
      this.#questions = 0
    }
    return ++this.#questions <= QUESTIONS
  }

  /** These are right, as of now. */
  learn(headers: Headers, now: number): void {
    const print = fingerprint(headers)
    this.#known.delete(print)
    this.#known.set(print, now)
    const [oldest] = this.#known.keys()
    if (this.#known.size > MOST && oldest !== undefined) this.#known.delete(oldest)
  }
}

/** Tells credentials apart. */
export function fingerprint(headers: Headers): string {
  return JSON.stringify([headers.get('authorization') ?? '', headers.get('cookie') ?? ''])
}

/** The token in the header `Authorization: Bearer …`. */
export function bearerToken(headers: Headers): string | undefined {
  const [, token] = /^bearer +(\S+) *$/i.exec(headers.get('authorization') ?? '') ?? []
  return token
}

/** The token in the first message of a frame, if that is a `hello` which has one. */
export function tokenOfHello(frame: string): string | undefined {
  let value: unknown
  try {
    value = JSON.parse(frame)
  } catch {
    return undefined
  }
  const first: unknown = Array.isArray(value) ? value[0] : value
  if (typeof first !== 'object' || first === null || !('type' in first) || first.type !== 'hello') return undefined
  return 'token' in first && typeof first.token === 'string' ? first.token : undefined
}
