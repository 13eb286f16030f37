import type { Api } from '@rtapi/core'
import { type TransportSubject, transportSuite } from '@rtapi/testing'
import { describe, test } from 'vitest'
import { serving } from './subject.ts'

describe.each(['websocket', 'polling'] as const)('the socket.io transport is a transport, over %s', (transport) => {
  const factory = { name: 'socket.io', serve: serving(transport), binary: true, origins: true } as const
  for (const { name, run } of transportSuite(factory)) test(name, run)
})

describe('so it is where a server insists on compression, and no ready frames can be written', () => {
  const compressed = serving('websocket', { perMessageDeflate: true })
  const serve = (api: Api): Promise<TransportSubject> => compressed({ ...api, report: () => undefined })
  const factory = { name: 'socket.io', serve, binary: true, origins: true } as const
  for (const { name, run } of transportSuite(factory)) test(name, run)
})
