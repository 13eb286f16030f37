import type { AttackCase, AttackRun } from './attack-run.ts'
import { check, checkEqual } from './conformance.ts'

/** Attacks of those who are nobody, were somebody, or would be somebody else. */
export const attacksBySession: readonly AttackCase[] = [
  ['A5 who does not say who they are is closed', silence, { limits: { helloTimeout: 300 } }],
  ['A6 credentials that are none let nobody in, and serve nothing', badCredentials],
  ['A7 a session that has run out shows and answers nothing more', expired, { limits: { expiryGrace: 1_500 } }],
  ['A7 a session that is over is not resumed, and no other user goes on with it', over],
  ['A42 a replayed write runs once, another under its key is a conflict, and keys of others are theirs', replay],
]

async function silence(run: AttackRun): Promise<void> {
  const links = [await run.link('ada'), await run.link('ada'), await run.link('ada')]
  links[1]?.send('{"type":"ping"}')
  links[2]?.send('{"type":')
  for (const link of links) checkEqual(await link.endCode(), 4408, 'the code')
}

async function badCredentials(run: AttackRun): Promise<void> {
  for (const token of ['', 'NOBODY', 'X'.repeat(8_000), 'a.b.c', '{"alg":"none"}', 'ada\u0000', '../ada']) {
    const link = await run.link()
    link.send(
      JSON.stringify([
        { type: 'hello', versions: [1], token },
        { type: 'request', id: 'a', resource: 'notes', action: 'list' },
        { type: 'subscribe', id: 'b', resource: 'notes' },
      ]),
    )
    await link.until('a refusal', () => ((link.end ?? /40[13]/.test(link.received)) ? true : undefined))
    check(!/text of|"ok":true|welcome/.test(link.received), `${token.slice(0, 20)}: ${link.received.slice(0, 300)}`)
    check([4401, 1006].includes(await link.endCode()), `${token.slice(0, 20)}: closed with ${link.end?.code}`)
  }
}

async function expired(run: AttackRun): Promise<void> {
  run.world.notes.create({ owner: 'brief', text: 'of brief' })
  const link = await run.as('brief')
  const { rows } = await link.subscribe('s', {})
  checkEqual(rows.length, 2, 'rows at first')
  const { clock } = run.world.api
  const from = clock.monotonic()
  // A second after the end, as is promised; for another half the link stands, so that there are new credentials for it.
  await link.until('a second to pass', () => (clock.monotonic() - from > 2_600 ? true : undefined))
  run.world.notes.update(4, { text: 'too late' })
  await run.settled()
  const code = await link.endCode()
  check(code === 4451, `closed with ${code}`)
  check(!link.received.includes('too late'), 'what was written after the end was sent')
}

async function over(run: AttackRun): Promise<void> {
  const ada = await run.as('ada')
  const { position = '' } = await ada.subscribe('s', {})
  run.world.ended.add('ada')
  await run.world.api.sessions.end({ session: 'session of ada' })
  checkEqual(await ada.endCode(), 4440, 'the code')
  run.world.notes.update(1, { text: 'after the end' })

  const resume = { type: 'subscribe', id: 's', resource: 'notes', since: position, have: [1] }
  const again = await run.link('ada').catch(() => undefined)
  if (again !== undefined) {
    again.send(JSON.stringify([{ type: 'hello', versions: [1] }, resume]))
    check([4401, 1006].includes(await again.endCode()), `came back, and was closed with ${again.end?.code}`)
    check(!/after the end|snapshot|"changes"/.test(again.received), 'was served after the end')
  }

  const eve = await run.as('eve')
  await eve.subscribe('s', {})
  eve.send('{"type":"auth","id":"x","token":"bob"}')
  checkEqual(await eve.endCode(), 4451, 'the code of who becomes somebody else')
  check(!eve.received.includes('text of bob'), 'was shown what is of somebody else')
}

async function replay(run: AttackRun): Promise<void> {
  const [ada, again, bob] = [await run.as('ada'), await run.as('ada'), await run.as('bob')]
  const create = { data: { owner: 'ada', text: 'once' }, idempotencyKey: 'k' }
  const first = await ada.request('notes', 'create', create)
  checkEqual(await again.request('notes', 'create', create), first, 'the reply to the repetition')
  const other = { ...create, data: { owner: 'ada', text: 'twice' } }
  checkEqual(await again.outcome('notes', 'create', other), 'conflict', 'the outcome of another write')
  const his = { ...create, data: { owner: 'bob', text: 'his' } }
  checkEqual(await bob.outcome('notes', 'create', his), 'ok', 'the outcome for somebody else')
  check(!bob.received.includes('once'), 'somebody else got the result')
  const written = run.world.notes.find().filter(({ id }) => id > 3)
  checkEqual(
    written.map(({ text }) => text),
    ['once', 'his'],
    'what was written',
  )
}
