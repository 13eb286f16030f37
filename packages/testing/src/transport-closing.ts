import { closeCodes } from '@rtapi/core'
import { check, checkEqual, checkFails } from './conformance.ts'
import { settle } from './event-loop.ts'
import { type TransportCase } from './transport-run.ts'

/** What transports promise of the end of a link. */
export const transportClosing: readonly TransportCase[] = [
  [
    'close sends what was given before, then ends the link with its code and reason',
    async (run) => {
      for (const [name, code] of Object.entries(closeCodes)) {
        const { client, server } = await run.connect()
        for (let i = 0; i < 3; i++) server.socket.send({ data: `${i} before ${name}` })
        server.socket.close(code, name)
        checkEqual(await run.endOf(client), { code, reason: name }, 'how the client saw it end')
        checkEqual(
          await run.texts(client, 3),
          [0, 1, 2].map((i) => `${i} before ${name}`),
          'the frames before',
        )
        checkEqual((await server.untilClosed()).code, code, 'the code that closed was called with')
      }
    },
  ],
  [
    'after close nothing is sent or received, a second close does nothing, and closed is called once',
    async (run) => {
      const { client, server } = await run.connect()
      server.socket.close(4440, 'revoked')
      server.socket.send({ data: 'too late' })
      server.socket.close(4500, 'again')
      checkEqual(await run.endOf(client), { code: 4440, reason: 'revoked' }, 'how the client saw it end')
      await server.untilClosed()
      server.socket.send({ data: 'much too late' })
      server.socket.close(4500, 'once more')
      await settle()
      checkEqual(client.received, [], 'frames after the close')
      checkEqual(server.closings.length, 1, 'calls of closed')
      check(Number.isFinite(server.socket.bufferedAmount), 'bufferedAmount is no number after the end')
    },
  ],
  [
    'a client that goes is told of once, and what is sent to it afterwards harms nobody',
    async (run) => {
      const { client, server } = await run.connect()
      const other = await run.connect()
      await client.send('last words')
      await run.texts(server, 1)
      await client.close()
      await server.untilClosed()
      server.socket.send({ data: 'to nobody' })
      server.socket.close(4500, 'nobody')
      other.server.socket.send({ data: 'to another' })
      checkEqual(await run.texts(other.client, 1), ['to another'], 'the frames of another client')
      await settle()
      checkEqual([server.closings.length, other.server.closings.length], [1, 0], 'calls of closed')
    },
  ],
  [
    'a link that is torn is told of once, also while frames are on their way',
    async (run) => {
      const { client, server } = await run.connect()
      for (let i = 0; i < 50; i++) server.socket.send({ data: `${i} ${'x'.repeat(10_000)}` })
      await client.abort()
      await server.untilClosed()
      server.socket.send({ data: 'to nobody' })
      await settle()
      checkEqual(server.closings.length, 1, 'calls of closed')
    },
  ],
  [
    'a service that ends lets the frames sent before come, ends every link as draining, and takes no more',
    async (run) => {
      const links = [await run.connect(), await run.connect()]
      for (const { server } of links) server.socket.send({ data: 'last words' })
      const closed = run.subject.close()
      for (const { client, server } of links) {
        checkEqual((await run.endOf(client)).code, closeCodes.draining, 'the code that the client saw')
        checkEqual((await run.texts(client, 1))[0], 'last words', 'the first frame')
        await server.untilClosed()
      }
      await closed
      await checkFails(() => run.subject.connect(), 'a client was let in after the end')
      checkEqual(run.api.links.length, 2, 'calls of accept')
    },
  ],
]
