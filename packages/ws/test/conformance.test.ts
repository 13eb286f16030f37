import { transportSuite } from '@rtapi/testing'
import { describe, test } from 'vitest'
import { serveSubject } from './subject.ts'

describe('the WebSocket transport is a transport', () => {
  for (const { name, run } of transportSuite({ name: 'ws', serve: serveSubject, binary: true, origins: true }))
    test(name, run)
})
