import type { Codec } from '@rtapi/core'
import { refuse } from './answers.ts'
import { objectOf } from './one-shot.ts'

/**
 * The first frame of a stream that a browser opens by itself: each parameter `subscribe` holds the JSON of one
 * subscription, without its type; without an id they are called `s1`, `s2` ….
 * @throws HttpRefusal 400.
 */
export function subscribeFrame(query: URLSearchParams, codec: Codec, limit: number): string {
  for (const name of query.keys()) {
    if (name !== 'subscribe')
      throw refuse('bad_request', "Expected 'session' or 'subscribe' in the query, and credentials in headers.")
  }
  const texts = query.getAll('subscribe')
  if (texts.length === 0) throw refuse('bad_request', "Expected 'session' or 'subscribe' in the query.")
  if (texts.reduce((size, { length }) => size + length, 0) > limit)
    throw refuse('limit_exceeded', 'The query is too long.')
  try {
    return JSON.stringify([
      { type: 'hello', versions: [1] },
      ...texts.map((text, index) => subscribe(objectOf(text, codec), index)),
    ])
  } catch (error) {
    // Nested so deeply that it cannot be written again.
    throw error instanceof RangeError ? refuse('bad_request', 'The query is nested too deeply.') : error
  }
}

function subscribe(fields: Readonly<Record<string, unknown>>, index: number): object {
  // A link that anybody can make others follow must not do more than look.
  if (Object.hasOwn(fields, 'type')) throw refuse('bad_request', "'subscribe' in the query is no whole message.")
  return { id: `s${index + 1}`, ...fields, type: 'subscribe' }
}
