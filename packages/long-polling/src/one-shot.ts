import { type Api, type Codec, type Json, type ReplyMessage, errorCodes } from '@rtapi/core'
import { errorHeaders, jsonAnswer, refuse } from './answers.ts'
import { ask } from './ask.ts'
import { type Exchange, handshakeOf } from './exchange.ts'

/** Fields of the message that the path says, or nobody. */
const elsewhere = ['type', 'id', 'resource', 'action']

/**
 * Runs the action that a request without a session names, and answers its `reply` with the HTTP status of its error code.
 * The path holds resource, action and the parts of the key; the body JSON of the other fields, or nothing.
 */
export async function runOneShot(api: Api, codec: Codec, exchange: Exchange): Promise<Response> {
  const body = await exchange.body()
  const reply = await ask<ReplyMessage>(api, codec, {
    handshake: handshakeOf(exchange, 'http'),
    signal: exchange.request.signal,
    frame: frameOf(exchange.path.map(decodeSegment), body, codec),
    // A frame that cannot be read is answered without an id.
    take: (message) => (message.type === 'reply' ? message : undefined),
  })
  const { id: _, ...told } = reply
  if (told.ok) return jsonAnswer(200, told)
  return jsonAnswer(errorCodes[told.error.code].status, told, errorHeaders(told.error))
}

function frameOf([resource, action, ...key]: readonly string[], body: string, codec: Codec): string {
  const fields = body.trim() === '' ? {} : objectOf(body, codec)
  for (const name of elsewhere) {
    if (Object.hasOwn(fields, name)) throw refuse('bad_request', `The body must not hold '${name}': the path says it.`)
  }
  if (key.length > 0 && Object.hasOwn(fields, 'key'))
    throw refuse('bad_request', 'The key stands in the path or in the body, not in both.')
  const parts = key.map(keyPart)
  const named = parts.length === 0 ? {} : { key: parts.length === 1 ? parts[0] : parts }
  try {
    return JSON.stringify([
      { type: 'hello', versions: [1] },
      { ...fields, ...named, type: 'request', id: 'once', resource, action },
    ])
  } catch {
    // Nested so deeply that it cannot be written again.
    throw refuse('bad_request', 'The body is nested too deeply.')
  }
}

/**
 * A JSON object from a client.
 * @throws HttpRefusal 400 for anything else.
 */
export function objectOf(text: string, codec: Codec): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = codec.decode(text)
  } catch {
    throw refuse('bad_request', 'Expected JSON.')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw refuse('bad_request', 'Expected a JSON object.')
  return value as Readonly<Record<string, unknown>>
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    throw refuse('bad_request', 'The path cannot be read.')
  }
}

/** A whole number is a number; text in double quotes is what stands between them; anything else is text. */
function keyPart(text: string): Json {
  if (/^-?(0|[1-9]\d*)$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text)
  if (!text.startsWith('"')) return text
  try {
    const quoted: unknown = JSON.parse(text)
    return typeof quoted === 'string' ? quoted : text
  } catch {
    return text
  }
}
