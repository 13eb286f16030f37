import { attackSuite } from '@rtapi/testing'
import { describe, test, vi } from 'vitest'
import { msgpackCodec } from '../src/index.ts'
import { messagePackOf } from './support/message-pack-of.ts'
import { serving } from '../../socket.io/test/subject.ts'
import { serveSubject } from '../../ws/test/subject.ts'

// Everything is waited for, and a busy machine takes its time.
vi.setConfig({ testTimeout: 60_000 })

describe('attacks by messages in MessagePack', () => {
  const codec = { codec: msgpackCodec, write: messagePackOf }
  const cases = [
    ...attackSuite({ name: 'ws', serve: serveSubject, ...codec }),
    ...attackSuite({ name: 'socket.io', serve: serving('websocket'), ...codec }),
  ]
  for (const { name, run } of cases) test.concurrent(name, run)
})
