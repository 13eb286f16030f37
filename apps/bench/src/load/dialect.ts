import { type ItemFilter, type Workload, followedRecords, makeFilter } from '../workload.ts'

/** What the clients of a target say, and by which pieces of text they know what they hear. */
export interface Dialect {
  /** Stands once in what the server says about each subscription when it is complete. */
  readonly ready: string
  /** Stands once for each change that arrives. */
  readonly delivery: string
  /** Stands before the time of a change in what arrives of it. */
  readonly at: string
  /** Stands once in each reply. */
  readonly reply: string
  /** Stands in a reply that says no. */
  readonly refusal: string
  /** Stands in what the server says when it is ready for more; absent where nobody waits for that. */
  readonly greeting?: string
  readonly signsOfLife: readonly SignOfLife[]
  /** The frames with which one socket says hello. */
  hello(): readonly string[]
  /** The frames with which it subscribes; each entry of `subscriptions` is answered once. */
  subscribe(subscriptions: readonly Subscription[]): readonly string[]
  request(id: number, action: 'get' | 'update', key: number): string
}

/** A text by which the server asks whether anybody is there, and the answer to it. */
export interface SignOfLife {
  readonly question: string
  readonly answer: string
}

/** What one socket asks to follow by one subscription. */
export type Subscription =
  | { readonly type: 'all' }
  | { readonly type: 'record'; readonly key: number }
  | { readonly type: 'filter'; readonly where: ItemFilter }

/** The subscriptions of each socket of a workload. */
export function subscriptionsOf(workload: Workload): readonly (readonly Subscription[])[] {
  const { following, sockets, records } = workload
  switch (following.type) {
    case 'nothing':
      return Array.from({ length: sockets }, () => [])
    case 'all':
      return Array.from({ length: sockets }, () => [{ type: 'all' }])
    case 'records':
      return followedRecords(workload, following.each).map((keys) => keys.map((key) => ({ type: 'record', key })))
    default:
      return Array.from({ length: sockets }, (_, socket) =>
        Array.from({ length: following.each }, (_, i) => ({
          type: 'filter',
          where: makeFilter(socket * following.each + i, records),
        })),
      )
  }
}

/** What a hand-written server without a library would speak. */
const bare: Dialect = {
  ready: '"following":',
  delivery: '"action":',
  at: '"at":',
  reply: '"type":"reply"',
  refusal: '"ok":false',
  signsOfLife: [],
  hello: () => [],
  subscribe: (subscriptions) => subscriptions.map((subscription) => JSON.stringify({ follow: subscription })),
  request: (id, action, key) =>
    JSON.stringify({ type: 'request', id: `r${id}`, action, key, ...(action === 'update' ? { data: patch(id) } : {}) }),
}

const rtapi: Dialect = {
  ready: '"done":true',
  delivery: '"action":',
  at: '"at":',
  reply: '"type":"reply"',
  refusal: '"ok":false',
  signsOfLife: [{ question: '{"type":"ping"}', answer: '{"type":"pong"}' }],
  hello: () => ['{"type":"hello","versions":[1],"token":"bench"}'],
  subscribe(subscriptions) {
    const messages = subscriptions.map((subscription, i) => ({
      type: 'subscribe',
      id: `s${i}`,
      resource: 'items',
      ...(subscription.type === 'record' ? { key: subscription.key } : {}),
      ...(subscription.type === 'filter' ? { where: subscription.where } : {}),
    }))
    return messages.length === 0 ? [] : [JSON.stringify(messages)]
  },
  request: (id, action, key) =>
    JSON.stringify({
      type: 'request',
      id: `r${id}`,
      resource: 'items',
      action,
      key,
      ...(action === 'update' ? { data: patch(id) } : {}),
    }),
}

/** Engine.IO asks by a packet without content. */
const enginePing: SignOfLife = { question: '2', answer: '3' }

/** Socket.IO's protocol of packets: 40 connects, 42 is an event, 43 answers the event of the same number. */
const socketIo: Dialect = {
  ready: '"following":',
  delivery: '"action":',
  at: '"at":',
  reply: '"ok":true',
  refusal: '"ok":false',
  greeting: '40{',
  signsOfLife: [enginePing],
  hello: () => ['40'],
  subscribe: (subscriptions) =>
    subscriptions.map((subscription, i) => `42${i}${JSON.stringify(['follow', subscription])}`),
  request: (id, action, key) => `42${id}${JSON.stringify([action, key, ...(action === 'update' ? [patch(id)] : [])])}`,
}

/** The frames of rtapi as texts of one event: what is JSON in them stands there in quotes. */
const rtapiSocketIo: Dialect = {
  ready: quoted(rtapi.ready),
  delivery: quoted(rtapi.delivery),
  at: quoted(rtapi.at),
  reply: quoted(rtapi.reply),
  refusal: quoted(rtapi.refusal),
  greeting: '40{',
  signsOfLife: [
    enginePing,
    ...rtapi.signsOfLife.map(({ question, answer }) => ({ question: inEvent(question), answer: inEvent(answer) })),
  ],
  hello: () => ['40'],
  subscribe: (subscriptions) => [...rtapi.hello(), ...rtapi.subscribe(subscriptions)].map(inEvent),
  request: (id, action, key) => inEvent(rtapi.request(id, action, key)),
}

function quoted(mark: string): string {
  return mark.replaceAll('"', String.raw`\"`)
}

function inEvent(frame: string): string {
  return `42${JSON.stringify(['rtapi', frame])}`
}

/** Calls of services as events of Socket.IO; an answer holds an error or null, and the result. */
const feathers: Dialect = {
  ready: '"following":',
  delivery: '["items patched"',
  at: '"at":',
  reply: '[null,',
  refusal: '"className":',
  greeting: '40{',
  signsOfLife: [enginePing],
  hello: () => ['40'],
  subscribe: (subscriptions) =>
    subscriptions.map((subscription, i) => `42${i}${JSON.stringify(['create', 'following', subscription, {}])}`),
  request: (id, action, key) =>
    action === 'get'
      ? `42${id}${JSON.stringify(['get', 'items', key, {}])}`
      : `42${id}${JSON.stringify(['patch', 'items', key, patch(id), {}])}`,
}

function patch(id: number): object {
  return { revision: id, text: `Another line of text, the ${id}th.` }
}

export const dialects = { bare, rtapi, 'socket.io': socketIo, 'rtapi-socket.io': rtapiSocketIo, feathers } as const

export type DialectName = keyof typeof dialects
