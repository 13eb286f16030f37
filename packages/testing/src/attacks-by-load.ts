import type { AttackCase, AttackRun } from './attack-run.ts'
import { check, checkEqual } from './conformance.ts'
import { turn } from './event-loop.ts'

const slow = { limits: { sendSoft: 16_384, sendHard: 65_536, sendTimeout: 300 } }

/** Attacks on what others need. */
export const attacksByLoad: readonly AttackCase[] = [
  ['A9 a frame above the limit is not read', tooBig],
  ['A37 subscriptions of one id are one, of a connection a hundred, and leave nothing behind', subscriptions],
  ['A38 a flood is refused for a while, and ended if it goes on', flood, { limits: { rate: 20, burst: 50 } }],
  ['A39 connections of one user are counted', connections, { limits: { connectionsPerUser: 3 } }],
  ['A40 a client that does not read is ended, and others are served meanwhile', slowReader, slow],
  ['A41 who tries keys is answered later and later', triedKeys, { limits: { misses: 6 } }],
  ...failures().map(([what, fail]): AttackCase => [
    `A50 a rule that ${what} fails that request, and no other`,
    broken,
    {
      limits: { ruleTimeout: 200 },
      rules: [{ scope: ({ session }) => (session.user?.id === 'ada' ? fail() : true) }],
    },
  ]),
]

async function tooBig(run: AttackRun): Promise<void> {
  const link = await run.as('ada')
  const text = 'x'.repeat(run.world.api.limits.frame)
  link.send(`{"type":"request","id":"r","resource":"notes","action":"create","data":{"owner":"ada","text":"${text}"}}`)
  await link.until('a refusal', () => (link.end !== undefined || /413/.test(link.received) ? true : undefined))
  check(!/"ok":true|xxxx/.test(link.received), 'it was served')
  checkEqual(run.world.notes.find().length, 3, 'notes')
}

async function subscriptions(run: AttackRun): Promise<void> {
  const { api, notes } = run.world
  const [ada, bob] = [await run.as('ada'), await run.as('bob')]
  const before = api.stats()
  for (let i = 0; i < 200; i++) {
    ada.send(
      `[{"type":"subscribe","id":"x${i}","resource":"notes","where":{"id":${i % 97}}},{"type":"unsubscribe","id":"x${i}"}]`,
    )
    if (i % 50 === 49) await ada.untilPong()
  }
  await ada.until('nothing to be left', () => {
    const now = api.stats()
    return now.subscriptions === before.subscriptions && now.feeds === before.feeds ? true : undefined
  })
  await ada.subscribe('s', {})
  ada.send('{"type":"subscribe","id":"s","resource":"notes"}')
  await ada.until('a conflict', () => (/"id":"s","ok":false.*?"conflict"/.test(ada.received) ? true : undefined))
  bob.send('{"type":"unsubscribe","id":"s"}')
  await bob.untilPong()
  notes.update(1, { text: 'still there' })
  await ada.until('a change', () => (ada.received.includes('still there') ? true : undefined))
  for (let i = 0; i < 100; i++) ada.send(`{"type":"subscribe","id":"y${i}","resource":"notes","where":{"id":${i}}}`)
  await ada.until('a limit', () => (/"id":"y99".*?"limit_exceeded"/.test(ada.received) ? true : undefined))
}

async function flood(run: AttackRun): Promise<void> {
  const makes: readonly ((i: number) => string)[] = [
    () => '{"type":"ping"}',
    (i) => `{"type":"request","id":"r${i}","resource":"notes","action":"list"}`,
    (i) => `{"type":"auth","id":"a${i}","token":"ada"}`,
    () => `[${'{"type":"ping"},'.repeat(30)}{"type":"ping"}]`,
  ]
  for (const make of makes) {
    const link = await run.as('ada')
    let sent = 0
    await link.until('the end of the flood', () => {
      if (link.end === undefined && sent < 20_000) link.send(make(sent++))
      return link.end
    })
    check([4429, 1006].includes(link.end?.code ?? 0), `${make(0).slice(0, 60)}: closed with ${link.end?.code}`)
    const honest = await run.as('bob')
    checkEqual(await honest.outcome('notes', 'list'), 'ok', 'what another client is answered')
  }
}

async function connections(run: AttackRun): Promise<void> {
  for (let i = 0; i < 3; i++) await run.as('ada')
  const link = await run.link('ada')
  link.send('{"type":"hello","versions":[1]}')
  checkEqual(await link.endCode(), 4429, 'the code')
  checkEqual(await (await run.as('bob')).outcome('notes', 'list'), 'ok', 'what another user is answered')
}

async function slowReader(run: AttackRun): Promise<void> {
  const { api, notes } = run.world
  const honest = await run.as('bob')
  const link = await run.as('ada')
  await link.subscribe('s', {})
  link.raw.pause()
  const text = 'x'.repeat(200_000)
  const from = api.clock.monotonic()
  // More than the network of this machine takes for a client that reads nothing.
  for (let i = 0; api.stats().connections > 1; i++) {
    check(api.clock.monotonic() - from < 20_000, 'it was not ended')
    if (i < 100) notes.update(3, { text: `${i} ${text}` })
    await honest.untilPong()
    // Without a network a pong is there at once, and timers have to come to their turn.
    await turn()
  }
  link.raw.resume()
  const code = await link.endCode()
  check([4450, 1006].includes(code), `closed with ${code}`)
}

async function triedKeys(run: AttackRun): Promise<void> {
  const link = await run.as('ada')
  const { clock } = run.world.api
  const from = clock.monotonic()
  // Six at once, and from then on one in ten seconds: of the seventh nothing is heard for a while.
  for (let i = 0; i < 6; i++) await link.outcome('notes', 'get', { key: 1_000 + i })
  link.send('{"type":"request","id":"late","resource":"notes","action":"get","key":2000}')
  for (let i = 0; i < 20; i++) await link.untilPong()
  const isAnswered = link.received.includes('"late"')
  check(!isAnswered || clock.monotonic() - from > 8_000, 'the seventh miss was answered at once')
  checkEqual(await link.outcome('notes', 'get', { key: 1 }), 'ok', 'what a record that is there is answered')
}

function failures(): readonly (readonly [what: string, fail: () => boolean | Promise<boolean>])[] {
  return [
    [
      'throws',
      () => {
        throw new Error('broken')
      },
    ],
    ['rejects', () => Promise.reject(new Error('broken'))],
    ['never ends', () => new Promise<never>(() => undefined)],
    ['answers what is no answer', () => Symbol('nothing') as unknown as boolean],
  ]
}

async function broken(run: AttackRun): Promise<void> {
  const [ada, bob] = [await run.as('ada'), await run.as('bob')]
  ada.send('{"type":"subscribe","id":"s","resource":"notes"}')
  const reply = ada.request('notes', 'list')
  checkEqual(await bob.outcome('notes', 'list'), 'ok', 'what another user is answered')
  const failed = await reply
  checkEqual(failed.ok ? 'ok' : failed.error.code, 'unavailable', 'the outcome')
  await ada.until('the end of the view', () => (/"end".*"unavailable"/.test(ada.received) ? true : undefined))
  check(!ada.received.includes('broken'), 'the message of the error was sent')
  check(run.world.reports.splice(0).length > 0, 'the operator was not told')
}
