import { jsonCodec } from '@rtapi/core'
import { check, checkEqual, checkFails } from './conformance.ts'
import { type TransportCase, type TransportFactory, bytesCodec } from './transport-run.ts'

/** What transports promise of the beginning of a link. */
export function transportHandshake({
  name,
  binary,
  origins,
  codec = bytesCodec,
}: TransportFactory): readonly TransportCase[] {
  const noOrigins = origins === true ? '' : `: not tried, ${origins.not}`
  const noBinary = binary === true ? '' : `: not tried, ${binary.not}`
  return [
    [
      'accept is told of the transport, the headers in lower case and the address',
      async (run) => {
        const { server } = await run.connect({ headers: { 'x-test': 'A value' } })
        const { transport, url, headers, remoteAddress } = server.handshake
        checkEqual(transport, name, 'the name of the transport')
        check(typeof url === 'string' && url.length > 0, 'there is no url')
        checkEqual(headers['x-test'], 'A value', 'a header')
        check(
          Object.keys(headers).every((header) => header === header.toLowerCase()),
          'a header is not in lower case',
        )
        check(typeof remoteAddress === 'string' && remoteAddress.length > 0, 'there is no address')
        check(run.api.codecs.includes(server.codec), 'the codec is not one of the API')
      },
    ],
    [
      'each link is accepted once, with an id of its own',
      async (run) => {
        const links = [await run.connect(), await run.connect(), await run.connect()]
        checkEqual(run.api.links.length, 3, 'calls of accept')
        checkEqual(new Set(links.map(({ server }) => server.socket.id)).size, 3, 'different ids')
      },
    ],
    [
      `the client chooses among the codecs of the API${noBinary}`,
      async (run) => {
        if (binary !== true) return
        checkEqual((await run.connect({ codec: codec.name })).server.codec.name, codec.name, 'the second codec')
        checkEqual((await run.connect({ codec: 'json' })).server.codec.name, 'json', 'the first codec')
        await checkFails(() => run.subject.connect({ codec: 'unknown' }), 'a codec that the API has not was accepted')
        checkEqual(run.api.links.length, 2, 'calls of accept')
      },
      { codecs: [jsonCodec, codec] },
    ],
    [
      `pages of other origins are refused before accept is called${noOrigins}`,
      async (run) => {
        if (origins !== true) return
        const { origin } = run.subject
        const others = [
          'https://evil.example',
          'null',
          `${origin}.evil.example`,
          `${origin}1`,
          origin.replace('http', 'ftp'),
        ]
        for (const other of others) {
          const refused = run.subject.connect({ headers: { origin: other } })
          await checkFails(() => refused, `a page of ${other} was let in`)
        }
        checkEqual(run.api.links.length, 0, 'calls of accept')
        await run.connect({ headers: { origin } })
        checkEqual(run.api.links.length, 1, 'calls of accept')
      },
    ],
    [
      'an API may close a link within accept',
      async (run) => {
        // The transport may have told the client that it is connected, or may not get that far.
        const link = await run.subject.connect().catch(() => undefined)
        if (link !== undefined) {
          checkEqual(await run.endOf(link), { code: 4429, reason: 'too many' }, 'how the client saw it end')
        }
        const server = await run.api.link(0)
        checkEqual((await server.untilClosed()).code, 4429, 'the code that closed was called with')
      },
      { onAccept: ({ socket }) => socket.close(4429, 'too many') },
    ],
  ]
}
