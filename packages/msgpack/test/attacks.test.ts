import { attackSuite } from '@rtapi/testing'
import { describe, test, vi } from 'vitest'
import { msgpackCodec } from '../src/index.ts'
import { messagePackOf } from './support/message-pack-of.ts'
import { serveIo, serveWs } from './support/subjects.ts'

// Everything is waited for, and a busy machine takes its time.
vi.setConfig({ testTimeout: 60_000 })

describe('attacks by messages in MessagePack', () => {
  const codec = { codec: msgpackCodec, write: messagePackOf }
  const cases = [
    ...attackSuite({ name: 'ws', serve: serveWs, ...codec }),
    ...attackSuite({ name: 'socket.io', serve: serveIo('websocket'), ...codec }),
  ]
  for (const { name, run } of cases) test.concurrent(name, run)
})
