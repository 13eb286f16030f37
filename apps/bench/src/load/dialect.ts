import { type ItemFilter, type Workload, followedRecords, makeFilter } from '../workload.ts'

/** What the clients of a target say, and by which pieces of text they know what they hear. */
export interface Dialect {
  /** Stands once in what the server says about each subscription when it is complete. */
  readonly ready: string
  /** Stands once for each change that arrives. */
  readonly delivery: string
  /** Stands once in each reply. */
  readonly reply: string
  /** The frames with which one socket says hello. */
  hello(): readonly string[]
  /** The frames with which it subscribes; each entry of `subscriptions` is answered once. */
  subscribe(subscriptions: readonly Subscription[]): readonly string[]
  request(id: number, action: 'get' | 'update', key: number): string
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
  reply: '"type":"reply"',
  hello: () => [],
  subscribe: (subscriptions) => subscriptions.map((subscription) => JSON.stringify({ follow: subscription })),
  request: (id, action, key) =>
    JSON.stringify({ type: 'request', id: `r${id}`, action, key, ...(action === 'update' ? { data: patch(id) } : {}) }),
}

const rtapi: Dialect = {
  ready: '"done":true',
  delivery: '"action":',
  reply: '"type":"reply"',
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

function patch(id: number): object {
  return { revision: id, text: `Another line of text, the ${id}th.` }
}

export const dialects: Readonly<Record<string, Dialect>> = { bare, rtapi }
