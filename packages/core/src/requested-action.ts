import type { StandardAction } from './permission.ts'
import { type ReplySuccess, type RequestMessage, RtapiError, printable } from './protocol.ts'
import type { OwnAction } from './resource.ts'
import type { ResourceModel } from './resource-model.ts'

/** What a reply carries besides its id. */
export type Outcome = Omit<ReplySuccess, 'type' | 'id' | 'ok'>

/** The fields of a request that an action takes, besides `resource` and `action`. */
const takes: Readonly<Record<StandardAction | 'own' | 'ownWithout', readonly (keyof RequestMessage)[]>> = {
  list: ['params', 'where', 'order', 'limit', 'after', 'fields'],
  get: ['key', 'params', 'fields'],
  create: ['params', 'data', 'fields', 'idempotencyKey'],
  update: ['key', 'params', 'data', 'ifVersion', 'fields', 'idempotencyKey'],
  delete: ['key', 'params', 'ifVersion', 'idempotencyKey'],
  describe: [],
  subscribe: [],
  own: ['key', 'params', 'data', 'idempotencyKey'],
  ownWithout: ['key', 'params', 'idempotencyKey'],
}

const always: readonly string[] = ['type', 'id', 'resource', 'action'] satisfies readonly (keyof RequestMessage)[]

/** Whether the request may change something, so that requests of one connection must keep their order. */
export function isWrite(message: RequestMessage): boolean {
  return message.action !== 'list' && message.action !== 'get' && message.action !== 'describe'
}

/** The resource's own action of this name. */
export function ownAction(model: ResourceModel, name: string): OwnAction | undefined {
  const actions = model.options.ownActions ?? {}
  return Object.hasOwn(actions, name) ? actions[name] : undefined
}

/** Why a request cannot be one of its resource, whoever asks; `undefined` if it can. */
export function unfit(model: ResourceModel, message: RequestMessage): RtapiError | undefined {
  const own = ownAction(model, message.action)
  const standard = message.action as StandardAction
  if (own === undefined && (!model.actions.has(standard) || standard === 'subscribe'))
    return new RtapiError('unsupported', `'${printable(message.action)}' is no action of ${model.name}`)
  const taken: readonly string[] = takes[own === undefined ? standard : own.input === undefined ? 'ownWithout' : 'own']
  for (const field in message) {
    if (taken.includes(field) || always.includes(field) || message[field as keyof RequestMessage] === undefined)
      continue
    const offer = taken.join(', ') || 'nothing'
    return new RtapiError('bad_request', `'${message.action}' takes no '${field}'; it takes ${offer}`)
  }
  return undefined
}
