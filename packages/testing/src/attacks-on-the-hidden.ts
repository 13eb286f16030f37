import type { ServerMessage } from '@rtapi/core'
import type { AttackLink } from './attack-link.ts'
import type { AttackCase, AttackRun } from './attack-run.ts'
import { check, checkEqual } from './conformance.ts'

/** Ways to learn of records, fields and resources that one may not see. */
export const attacksOnTheHidden: readonly AttackCase[] = [
  ['A21 a field that one may not read answers as one that is not there, wherever it is named', hiddenField],
  ['A28 a record of somebody else is answered for byte by byte as one that is not there', hiddenRecord],
  ['A29 a value that somebody else has taken is told without its constraint and its record', takenValue],
  ['A30 a record that moves out of reach leaves by its key alone', movedAway],
  ['A31 of a deletion hears nobody who has not had the record', deletion],
  ['A32 of one change each subscriber sees the fields that are theirs', ownFields],
  ['A34 a forged position starts over, and brings what one may see', forgedPosition],
  ['A35 keys that look like names of groups are keys', oddKeys],
  ['A43 a write on a record that has changed is refused with its version, to those who may read it', lostUpdate],
  ['A48 a resource that one may not use answers as one that is not there', hiddenResource],
]

async function hiddenField(run: AttackRun): Promise<void> {
  const link = await run.as('ada')
  const places: readonly ((field: string) => string)[] = [
    (field) => `"where":{"${field}":{"gt":"S"}}`,
    (field) => `"where":{"or":[{"id":1},{"and":[{"${field}":"S"}]}]}`,
    (field) => `"order":[["${field}","asc"]]`,
    (field) => `"fields":["id","${field}"]`,
    (field) => `"where":{"${field}.length":1}`,
    (field) => `"params":{"${field}":"S"}`,
  ]
  for (const place of places) {
    for (const type of ['"request","action":"list"', '"subscribe"']) {
      const ask = async (field: string): Promise<string> => {
        const answer = await link.answer(`{"type":${type},"id":"r","resource":"notes",${place(field)}}`)
        return answer.replaceAll(field, 'FIELD')
      }
      const hidden = await ask('secret')
      checkEqual(hidden, await ask('nosuch'), `the answer to ${place('FIELD')}`)
      check(hidden.includes('bad_request'), `${place('FIELD')} was answered by ${hidden}`)
    }
  }
}

async function hiddenRecord(run: AttackRun): Promise<void> {
  const acts: readonly (readonly [action: string, fields: string])[] = [
    ['get', '"key":KEY'],
    ['get', '"key":KEY,"fields":["text"]'],
    ['update', '"key":KEY,"data":{"text":"x"}'],
    ['update', '"key":KEY,"data":{"nosuch":"x"}'],
    ['update', '"key":KEY,"data":{"text":"x"},"idempotencyKey":"k"'],
    ['update', '"key":KEY,"data":{"text":"x"},"ifVersion":1'],
    ['delete', '"key":KEY'],
    ['list', '"where":{"id":KEY}'],
  ]
  const link = await run.as('ada')
  for (const [action, fields] of acts) {
    const ask = (key: number): Promise<string> =>
      link.answer(
        `{"type":"request","id":"r","resource":"notes","action":"${action}",${fields.replace('KEY', String(key))}}`,
      )
    checkEqual(await ask(2), await ask(9), `the answer to ${action} ${fields}`)
  }
  const views = [await link.subscribe('a', { key: 2 }), await link.subscribe('b', { key: 9 })]
  const [hidden, missing] = views.map((view) => ({ ...view, id: 's', feed: 'f', position: 'p' }))
  checkEqual(hidden, missing, 'the view of a hidden record')
}

async function takenValue(run: AttackRun): Promise<void> {
  const link = await run.as('ada')
  const data = { owner: 'ada', text: 'x', code: 'code of bob' }
  for (const [action, rest] of [
    ['create', {}],
    ['update', { key: 1 }],
  ] as const) {
    const reply = await link.request('notes', action, { ...rest, data })
    checkEqual(reply.ok ? 'ok' : reply.error.code, 'conflict', `the outcome of ${action}`)
    check(
      !/bob|code of|index|constraint/i.test(JSON.stringify(reply)),
      `${action} tells more: ${JSON.stringify(reply)}`,
    )
  }
}

async function movedAway(run: AttackRun): Promise<void> {
  const { notes } = run.world
  for (const more of [{}, { text: 'for bob alone' }]) {
    const { id } = notes.create({ owner: 'ada', text: 'of ada' }).row
    const link = await run.as('ada')
    const { feed } = await link.subscribe('s', { where: { id: { in: [id, 3] } } })
    notes.update(id, { owner: 'bob', ...more })
    const { changes } = await link.next('the change', isChangesOf(feed))
    checkEqual(withoutTx(changes), [{ action: 'delete', key: id }], 'the change')
    notes.update(id, { text: 'later, for bob alone' })
    await run.settled()
    checkEqual(await link.untilPong(), [], 'what came later')
    check(!link.received.includes('for bob alone'), 'the new text was sent')
  }
}

async function deletion(run: AttackRun): Promise<void> {
  const link = await run.as('ada')
  await link.subscribe('a', {})
  await link.subscribe('b', { key: 2 })
  await link.subscribe('c', { where: { text: { startsWith: 'text of bob' } } })
  run.world.notes.delete(2)
  await run.settled()
  checkEqual(await link.untilPong(), [], 'what came of it')
}

async function ownFields(run: AttackRun): Promise<void> {
  const links = [await run.as('ada'), await run.as('root')]
  const feeds = await Promise.all(links.map(async (link) => (await link.subscribe('s', { key: 1 })).feed))
  run.world.notes.update(1, { text: 'changed', secret: 'SECRET-7' })
  const rows = await Promise.all(
    links.map(async (link, i) => (await link.next('the change', isChangesOf(feeds[i] ?? ''))).changes[0]?.data),
  )
  checkEqual(
    rows.map((row) => row?.['text']),
    ['changed', 'changed'],
    'the texts',
  )
  checkEqual(
    rows.map((row) => row?.['secret'] ?? 'none'),
    ['none', 'SECRET-7'],
    'the secrets',
  )
  check(links[0]?.received.includes('SECRET') === false, 'the hidden field was sent')
}

async function forgedPosition(run: AttackRun): Promise<void> {
  const bob = await run.as('bob')
  const { position = '' } = await bob.subscribe('s', {})
  const forged: readonly (readonly [what: string, since: string])[] = [
    ['of nobody', 'nonsense'],
    ['of another epoch', position.replace(/[A-Za-z]/, (letter) => (letter === 'a' ? 'b' : 'a'))],
    ['ahead', position.replace(/\d+(?=\D*$)/, '99999')],
    ['negative', position.replace(/\d+(?=\D*$)/, '-1')],
    ['of 2^64', position.replace(/\d+(?=\D*$)/, '18446744073709551616')],
  ]
  for (const [what, since] of forged) {
    check(since !== position, `${what}: the position was not changed`)
    const link = await run.as('ada')
    const { rows } = await link.subscribe('s', { since, have: [1, 2, 3] })
    checkEqual(
      rows.map(({ key }) => key),
      [1, 3],
      `${what}: the keys of the view`,
    )
    const reset = await link.next('a reset', (message): message is Reset => message.type === 'reset')
    checkEqual([reset.id, reset.reason], ['s', 'gap'], `${what}: the reset`)
    check(!link.received.includes('bob'), `${what}: something of bob was sent`)
  }
  // One that another user was given.
  run.world.notes.update(2, { text: 'for bob alone' })
  const link = await run.as('ada')
  await link.subscribe('s', { since: position, have: [2] })
  check(!link.received.includes('bob'), 'something of bob was sent')
}

async function oddKeys(run: AttackRun): Promise<void> {
  const keys = ['a:b', 'a*', '{a}', 'a\r\nPUBLISH', '../a', '%', 'a b', '\u00e9', 'e\u0301', 'rtapi:{a}', '0']
  const link = await run.as('ada')
  const whole = await link.subscribe('whole', {})
  for (const [i, key] of keys.entries()) {
    // A key of another type is no key of a note, whatever it looks like.
    const outcome = await link.outcome('notes', 'get', { key })
    check(outcome === 'not_found' || outcome === 'bad_request', `the key ${key} was answered by ${outcome}`)
    link.send(JSON.stringify({ type: 'subscribe', id: `k${i}`, resource: 'notes', key }))
  }
  run.world.notes.update(1, { text: 'changed' })
  await link.next('the change', isChangesOf(whole.feed))
  await run.settled()
  await link.untilPong()
  const told = link.messages.filter(({ type }) => type === 'changes')
  checkEqual(told.length, 1, 'views that were told of another record')
}

async function lostUpdate(run: AttackRun): Promise<void> {
  const [ada, nobody] = [await run.as('ada'), await run.as()]
  const update = { key: 1, data: { text: 'b' }, ifVersion: 99 }
  const conflict = await ada.request('pages', 'update', update)
  checkEqual(conflict.ok ? 'ok' : conflict.error.code, 'conflict', 'the outcome')
  check(JSON.stringify(conflict).includes('the version is 1'), 'the version is not told')
  checkEqual(await nobody.outcome('pages', 'update', update), 'not_found', 'the outcome for nobody')
  check(!nobody.received.includes('version is'), 'the version is told to nobody')
}

async function hiddenResource(run: AttackRun): Promise<void> {
  const link = await run.as('ada')
  const asked: string[] = []
  for (const action of ['list', 'get', 'create', 'update', 'delete', 'describe', 'subscribe', 'constructor'])
    for (const rest of ['', ',"key":1', ',"data":{}', ',"where":{"secret":1}', ',"idempotencyKey":"k"'])
      asked.push(`{"type":"request","id":"r","resource":"RESOURCE","action":"${action}"${rest}}`)
  asked.push('{"type":"subscribe","id":"s","resource":"RESOURCE"}')
  for (const frame of asked) {
    const ask = (resource: string): Promise<string> => answerFor(link, frame, resource)
    const hidden = await ask('vault')
    checkEqual(hidden, await ask('nosuch'), `the answer to ${frame}`)
    check(/not_found/.test(hidden), `${frame} was answered by ${hidden}`)
  }
}

async function answerFor(link: AttackLink, frame: string, resource: string): Promise<string> {
  return (await link.answer(frame.replace('RESOURCE', resource))).replaceAll(resource, 'RESOURCE')
}

function withoutTx(changes: Changes['changes']): readonly object[] {
  return changes.map((change) => {
    const { tx: _, ...rest } = change
    return rest
  })
}

type Changes = Extract<ServerMessage, { type: 'changes' }>
type Reset = Extract<ServerMessage, { type: 'reset' }>

function isChangesOf(feed: string): (message: ServerMessage) => message is Changes {
  return (message): message is Changes => message.type === 'changes' && message.feed === feed
}
