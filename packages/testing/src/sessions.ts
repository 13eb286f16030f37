import {
  type Api,
  type Authenticate,
  type MaybePromise,
  RtapiError,
  type Session,
  type User,
  closeCodes,
} from '@rtapi/core'
import { type ConnectOptions, type TestClient, connect } from './test-client.ts'

/** What a user is made of. */
export interface UserValues {
  readonly name: string
  readonly password: string
  readonly admin: boolean
}

/** A user as `testSessions` makes them by itself. */
export interface TestUser extends User {
  readonly id: number
  readonly name: string
  readonly admin: boolean
}

export interface TestSessionsOptions<U extends User> {
  /** Makes a user of the application, for instance in its database. */
  createUser(values: UserValues): MaybePromise<U>
  /** Who has these credentials, as the application finds it out. @default the users that were made here */
  readonly findUser?: (credentials: Pick<UserValues, 'name' | 'password'>) => MaybePromise<U | null>
  /** The application's own, for tokens that do not come from here. @default they are refused; without one: anonymous */
  readonly authenticate?: Authenticate<U>
}

/**
 * Users and their sessions for tests of permissions.
 *
 * ```ts
 * const sessions = testSessions()
 * const api = createApi({ resources, changes, authenticate: sessions.authenticate })
 *
 * test('a comment is hidden from others', async () => {
 *   const ann = await sessions.connectAs(api, await sessions.user())
 *   const bob = await sessions.connectAs(api, await sessions.createUser({ name: 'bob' }))
 *   …
 *   const nobody = await sessions.logout(ann)
 * })
 * ```
 */
export interface TestSessions<U extends User> {
  /** Give this to `createApi`. */
  readonly authenticate: Authenticate<U>
  /** Makes a user; what is not said is made up. */
  createUser(values?: Partial<UserValues>): Promise<U>
  /** One plain user, the same at each call. */
  user(): Promise<U>
  /** One administrator, the same at each call. */
  admin(): Promise<U>
  /** A token of a new session of this user. */
  token(user: U): string
  /** Connects as this user, or as nobody. */
  connectAs(api: Api, user: U | null, options?: Omit<ConnectOptions, 'token'>): Promise<TestClient>
  /**
   * Signs in with credentials and answers the client to go on with: the server ends a connection whose user changes, and
   * so that is a new one, unless the user was the same.
   * @throws RtapiError `unauthenticated` if nobody has these credentials.
   */
  login(client: TestClient, credentials: Pick<UserValues, 'name' | 'password'>): Promise<TestClient>
  /** Signs in without asking for credentials; otherwise as `login`. */
  forceLogin(client: TestClient, user: U): Promise<TestClient>
  /** Ends the session and answers the anonymous client to go on with. The token is worth nothing any more. */
  logout(client: TestClient): Promise<TestClient>
}

/** Makes users and sessions in memory. */
export function testSessions(): TestSessions<TestUser>
/** Makes sessions for users of the application. */
export function testSessions<U extends User>(options: TestSessionsOptions<U>): TestSessions<U>
export function testSessions(options?: TestSessionsOptions<User>): TestSessions<User> {
  let users = 0
  return new Sessions(options ?? { createUser: ({ name, admin }): TestUser => ({ id: ++users, name, admin }) })
}

class Sessions<U extends User> implements TestSessions<U> {
  readonly #options: TestSessionsOptions<U>
  readonly #sessions = new Map<string, Session<U>>()
  readonly #made: { readonly user: U; readonly values: UserValues }[] = []
  #user: Promise<U> | undefined
  #admin: Promise<U> | undefined
  #tokens = 0
  #names = 0

  constructor(options: TestSessionsOptions<U>) {
    this.#options = options
  }

  readonly authenticate: Authenticate<U> = (handshake) => {
    const { token } = handshake
    const session = typeof token === 'string' ? this.#sessions.get(token) : undefined
    if (session !== undefined) return session
    if (this.#options.authenticate !== undefined) return this.#options.authenticate(handshake)
    if (token === undefined || token === null) return null
    throw new RtapiError('unauthenticated', 'the token is unknown')
  }

  async createUser(given: Partial<UserValues> = {}): Promise<U> {
    const number = ++this.#names
    const values = { name: `user ${number}`, password: `password ${number}`, admin: false, ...given }
    const user = await this.#options.createUser(values)
    this.#made.push({ user, values })
    return user
  }

  user(): Promise<U> {
    return (this.#user ??= this.createUser({ name: 'user', password: 'password' }))
  }

  admin(): Promise<U> {
    return (this.#admin ??= this.createUser({ name: 'admin', password: 'password', admin: true }))
  }

  token(user: U): string {
    const id = `test-session-${++this.#tokens}`
    const token = `${id}-${crypto.randomUUID()}`
    this.#sessions.set(token, { user, id })
    return token
  }

  connectAs(api: Api, user: U | null, options: Omit<ConnectOptions, 'token'> = {}): Promise<TestClient> {
    return connect(api, user === null ? options : { ...options, token: this.token(user) })
  }

  async login(client: TestClient, credentials: Pick<UserValues, 'name' | 'password'>): Promise<TestClient> {
    const user = await (this.#options.findUser ?? ((wanted) => this.#find(wanted)))(credentials)
    if (user === null) throw new RtapiError('unauthenticated', 'nobody has these credentials')
    return await this.forceLogin(client, user)
  }

  forceLogin(client: TestClient, user: U): Promise<TestClient> {
    return change(client, this.token(user))
  }

  logout(client: TestClient): Promise<TestClient> {
    if (client.token !== undefined) this.#sessions.delete(client.token)
    return change(client, null)
  }

  #find({ name, password }: Pick<UserValues, 'name' | 'password'>): U | null {
    const found = this.#made.find(({ values }) => values.name === name && values.password === password)
    return found?.user ?? null
  }
}

/** Gives other credentials; where the server ends the connection for that, connects anew. */
async function change(client: TestClient, token: string | null): Promise<TestClient> {
  try {
    const reply = await client.authenticate(token)
    if (!reply.ok) throw new RtapiError(reply.error.code, reply.error.message)
    return client
  } catch (error) {
    if (client.closed?.code !== closeCodes.sessionChanged) throw error
    return await client.reconnect(token ?? undefined)
  }
}
