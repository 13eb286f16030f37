import { createClient, longPollingTransport, webSocketTransport } from '@rtapi/client'
import type { BoardApi } from '../src/board-api.ts'
import { recordFrame } from './frame-log.ts'
import { keptToken } from './sign-in.ts'

/** The connection of this window. Its types come from the server. */
export const client = createClient<BoardApi>({
  url: '/rt',
  // Where something between here and the server forbids WebSockets, it polls, and now and then tries the other again.
  transport: [webSocketTransport(), longPollingTransport({ url: '/rt-poll' })],
  token: keptToken(),
})
client.onFrame(recordFrame)

export type User = Awaited<ReturnType<typeof client.users.get>>
export type Project = Awaited<ReturnType<typeof client.projects.get>>
export type Membership = Awaited<ReturnType<typeof client.memberships.get>>
export type Task = Awaited<ReturnType<typeof client.tasks.get>>
export type Comment = Awaited<ReturnType<typeof client.comments.get>>
export type TaskState = Task['state']
