import { HttpRefusal, eventsAnswer, jsonAnswer, linesAnswer, refuse, unknownSession } from './answers.ts'
import { refusalOfClose } from './ask.ts'
import { fingerprint, tokenOfHello } from './credentials.ts'
import type { Exchange } from './exchange.ts'
import { httpHeaders } from './http-headers.ts'
import { objectOf } from './one-shot.ts'
import type { SessionTable } from './session-table.ts'
import { subscribeFrame } from './subscribe-frame.ts'

const OPEN = /^[A-Za-z0-9_-]{16,64}$/
const NUMBER = /^\d{1,15}$/

/** The first frame of a client: makes a session, or finds the one that the same request has made before. */
export async function openSession(table: SessionTable, exchange: Exchange): Promise<Response> {
  const { headers, signal } = exchange.request
  const open = headers.get(httpHeaders.open)
  if (open !== null && !OPEN.test(open))
    throw refuse('bad_request', `Expected 16 to 64 of A-Z a-z 0-9 _ - in ${httpHeaders.open}.`)
  const frame = await exchange.body()
  // Two clients with the same text, one of whom tries out what others may have chosen, share nothing.
  const nonce = open === null ? undefined : JSON.stringify([open, fingerprint(headers), tokenOfHello(frame) ?? ''])
  const known = nonce === undefined ? undefined : table.openedBy(nonce)
  const session = known ?? table.open(exchange, { transport: 'long-polling', nonce })
  if (known === undefined && frame !== '') session.receive(frame)
  const isCurrent = frame === '' || (await session.wait(0, signal))
  return linesAnswer(session.lines(0, { frames: isCurrent }))
}

/** A further frame of a client. */
export async function takeFrame(table: SessionTable, exchange: Exchange): Promise<Response> {
  const { headers } = exchange.request
  const session = await table.find(headers.get(httpHeaders.session), exchange)
  const sequence = numberOf(headers.get(httpHeaders.sequence), httpHeaders.sequence)
  const said = headers.get(httpHeaders.cursor)
  const cursor = said === null ? undefined : numberOf(said, httpHeaders.cursor)
  const frame = await exchange.body()
  if (cursor !== undefined) session.acknowledge(cursor)
  session.take(sequence, frame)
  // Where somebody waits, the frames are theirs.
  return linesAnswer(session.lines(cursor ?? 0, { frames: cursor !== undefined && !session.isWatched }))
}

/** Asks for the frames behind a cursor, and waits if there are none. */
export async function poll(table: SessionTable, exchange: Exchange): Promise<Response> {
  const { session: id, cursor, ...others } = objectOf(await exchange.body(), table.codec)
  if (typeof id !== 'string' || !isCursor(cursor) || Object.keys(others).length > 0)
    throw refuse('bad_request', 'Expected { session, cursor }: a text and a whole number.')
  const session = await table.find(id, exchange)
  const isCurrent = await session.wait(cursor, exchange.request.signal)
  return linesAnswer(session.lines(cursor, { frames: isCurrent }))
}

/** The client goes. */
export async function leaveSession(table: SessionTable, exchange: Exchange): Promise<Response> {
  const { session: id, ...others } = objectOf(await exchange.body(), table.codec)
  if (typeof id !== 'string' || Object.keys(others).length > 0)
    throw refuse('bad_request', 'Expected { session }: a text.')
  const session = await table.find(id, exchange)
  const closed = { code: 1000, reason: 'client closed' }
  session.leave(closed.code, closed.reason)
  return jsonAnswer(200, { session: id, closed })
}

/** The frames of a session as events. */
export async function streamSession(table: SessionTable, exchange: Exchange): Promise<Response> {
  const { request, query } = exchange
  const session = await table.find(query.get('session'), exchange)
  const last = lastEvent(request)
  const cursor = last?.session === session.id ? last.cursor : numberOf(query.get('cursor') ?? '0', 'cursor')
  session.acknowledge(cursor)
  // What the client lacks is no longer there: it has to begin anew.
  if (!session.canResume(cursor)) throw unknownSession()
  return eventsAnswer(session.stream(cursor, { answersPings: true }))
}

/** A session that a browser opens by itself, with its subscriptions in the query; or the one it had before. */
export async function openStream(table: SessionTable, exchange: Exchange): Promise<Response> {
  const { request, query } = exchange
  const streamQuery = query.toString()
  const last = lastEvent(request)
  const before = last === undefined ? undefined : await table.find(last.session, exchange).catch(orNone)
  if (last !== undefined && before?.streamQuery === streamQuery && before.canResume(last.cursor))
    return eventsAnswer(before.stream(last.cursor, { answersPings: false }))
  const frame = subscribeFrame(query, table.codec, table.limits.frame)
  const session = table.open(exchange, { transport: 'event-stream', streamQuery })
  session.receive(frame)
  // A browser comes back to a stream that ends, but not after an error: it should learn now that it may not come.
  await session.wait(0, request.signal)
  if (session.user === undefined || request.signal.aborted) {
    session.leave(1001, 'client gone')
    throw refusalOfClose(session.end?.code ?? 0)
  }
  return eventsAnswer(session.stream(0, { answersPings: false }))
}

function isCursor(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

function numberOf(text: string | null, name: string): number {
  if (text === null || !NUMBER.test(text)) throw refuse('bad_request', `Expected a whole number in ${name}.`)
  return Number(text)
}

/** Where a browser was when its stream broke. */
function lastEvent({ headers }: Request): { readonly session: string; readonly cursor: number } | undefined {
  const [, session, cursor] = /^([0-9a-f]{32})\.(\d{1,15})$/.exec(headers.get('last-event-id') ?? '') ?? []
  return session === undefined ? undefined : { session, cursor: Number(cursor) }
}

function orNone(error: unknown): undefined {
  if (!(error instanceof HttpRefusal) || error.status !== 404) throw error
  return undefined
}
