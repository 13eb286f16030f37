import {
  type Authenticate,
  type Permission,
  type Report,
  RtapiError,
  createApi,
  defineResource,
  forActions,
  isAuthenticated,
  or,
  owns,
} from '@rtapi/core'
import { rtapiSequelize } from '@rtapi/sequelize'
import type { Sequelize } from 'sequelize'
import { z } from 'zod'
import { NAME, defineMessage } from './message.ts'

const name = z.string().regex(NAME, 'expected a to z, then at most 19 of a to z, 0 to 9 and -')
const text = z.string().trim().min(1).max(1000)

const NewMessage = z.strictObject({ text, recipient: name.nullable().optional() })
const MessagePatch = z.strictObject({ text })

/** In this chat, whoever says a name is the one. An application would check a password here, or the signature of a token. */
const authenticate: Authenticate = ({ token }) => {
  if (token === null || token === undefined) return null
  if (NAME.test(token)) return { user: { id: token } }
  throw new RtapiError('unauthenticated', 'The token is not a name.')
}

interface Line {
  readonly author: string
  readonly recipient: string | null
}

/** What is said to one person exists for nobody but the two. */
const isForMe: Permission<Line> = {
  scope: ({ session: { user } }) =>
    user === null
      ? { recipient: null }
      : or({ recipient: null }, { recipient: String(user.id) }, { author: String(user.id) }),
}

/** The API of the chat on a database, and the model that other code may write with. */
export function createChat(sequelize: Sequelize, report: Report) {
  const Message = defineMessage(sequelize)
  const live = rtapiSequelize(sequelize, { report })
  const store = live.store(Message)
  const messages = defineResource('messages', {
    store,
    input: { create: NewMessage, update: MessagePatch },
    create: ({ session }, data) => store.create({ ...data, author: String(session.user?.id) }),
    permissions: [
      isForMe,
      forActions(['create', 'update', 'delete'], isAuthenticated),
      forActions(['update', 'delete'], owns('author')),
    ],
  })
  const api = createApi({ resources: [messages], changes: [live.changes()], authenticate, report })
  return { api, Message }
}
