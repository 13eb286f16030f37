/** A statement as it goes to a driver: the placeholders and values are in the driver's own form. */
export interface Sent {
  readonly sql: string
  readonly parameters?: unknown
}

/** The rows that a statement has answered. */
export interface Answer {
  /** Each row a list of values in the order of the columns; absent if there are more than were wanted. */
  readonly rows: readonly (readonly unknown[])[] | undefined
  readonly count: number
  /** What else the driver says of it, such as the id that SQLite gave to the last row. */
  readonly raw?: unknown
}

/** Carries out the statement that Sequelize sends: by `send` as it is, or in another way with the same result. */
type CarryOut = (sent: Sent, send: () => Promise<unknown>) => Promise<unknown>

/** What has to be known of a driver to ask a statement for more than Sequelize does, and to hide that from Sequelize. */
export interface Driver {
  /** After a failed statement of a transaction each other one fails too, and says nothing of the reason. */
  readonly failsAsAWhole: boolean
  /** Statements outside of transactions share one connection, so that no transaction may be begun on it. */
  readonly sharesConnection: boolean
  /**
   * A stand-in for the connection, for one statement of Sequelize: it hands that to `carryOut` and Sequelize what this
   * answers or throws. `carryOut` is called before the driver is, and may call the driver at once.
   */
  standIn(connection: object, carryOut: CarryOut): object
  /**
   * Sends a statement that answers rows.
   * @param most - so many rows are kept, and of more none.
   */
  rows(connection: object, sent: Sent, most: number): Promise<Answer>
  /** The driver's own result of a statement that has written the rows of this answer, and was not to answer them. */
  resultOf(answer: Answer): unknown
  /** Puts the statement of the application back where the driver says in an error what was sent. */
  clean(error: unknown, sent: string, given: string): void
  /** Whether the error says that the database does not know `returning` here. */
  isUnknown(error: unknown): boolean
}

const BEHIND = Symbol('the connection behind a stand-in')

/** The connection itself, also if this is a stand-in: another source on the same Sequelize asks a statement. */
export function connectionBehind(connection: object): object {
  const behind: unknown = Reflect.get(connection, BEHIND)
  return typeof behind === 'object' && behind !== null ? connectionBehind(behind) : connection
}

/** A connection on which some methods are others; all else of it is its own. */
export function standInFor(connection: object, methods: Readonly<Record<string, unknown>>): object {
  return new Proxy(connection, {
    get(target, name) {
      if (name === BEHIND) return target
      if (typeof name === 'string' && Object.hasOwn(methods, name)) return methods[name]
      const value: unknown = Reflect.get(target, name, target)
      // Methods of native objects know their own objects alone.
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
    set: (target, name, value) => Reflect.set(target, name, value, target),
  })
}

/** Tells a driver's kind of callbacks what becomes of the work; they must not throw. */
export async function tell(
  work: Promise<unknown>,
  { done, failed }: { readonly done: (result: unknown) => void; readonly failed: (error: Error) => void },
): Promise<void> {
  let result: unknown
  try {
    result = await work
  } catch (error) {
    return failed(error as Error)
  }
  return done(result)
}

/** The answer of rows of which not more than `most` are kept. */
export function answerOf(rows: readonly (readonly unknown[])[], most: number, raw?: unknown): Answer {
  return { rows: rows.length > most ? undefined : rows, count: rows.length, raw }
}

/** Puts one text of SQL in the place of another in what an error says. */
export function resay(error: unknown, sent: string, given: string): void {
  if (!(error instanceof Error)) return
  for (const name of ['message', 'sqlMessage', 'sql']) {
    const text: unknown = Reflect.get(error, name)
    if (typeof text === 'string' && text.includes(sent))
      Reflect.set(
        error,
        name,
        text.replace(sent, () => given),
      )
  }
}
