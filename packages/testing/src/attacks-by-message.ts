import type { AttackCase, AttackRun } from './attack-run.ts'
import { check, checkEqual } from './conformance.ts'
import { hostileFilters, hostileFrames, hostileRequests, refusalOf, requestOf } from './hostile-messages.ts'

/** The rows whose messages stand in the tables, and what they are. */
const rows: readonly (readonly [row: string, title: string])[] = [
  ['A17', 'nesting that would overflow the stack'],
  ['A18', 'filters that are deep, wide or long'],
  ['A19', 'a logical operator that is no array of filters'],
  ['A20', 'text that is matched by an expression'],
  ['A22', 'filters along relations'],
  ['A23', 'names that reach a prototype'],
  ['A24', 'objects where a scalar belongs'],
  ['A25', 'an order that is none'],
  ['A26', 'a path in place of a field'],
  ['A27', 'fields and owners that one may not write'],
  ['A45', 'numbers that are none, or cost'],
]

/** As it is by default. */
const strict = { limits: { badMessages: 3 } }

/** Attacks that are whole in one message. */
export const attacksByMessage: readonly AttackCase[] = [
  ['A12 frames that are no messages are refused, and the third within ten seconds ends the link', threeFrames, strict],
  ['A12 text that no database takes is refused in a filter', (run) => refuseAll(run, 'A12')],
  ...rows.map(([row, title]): AttackCase => [`${row} ${title}`, (run) => refuseAll(run, row)]),
  ['A20 signs of LIKE stand for themselves', signsOfLike],
  ['A27 words do not tell whether there is a field that one may not write', sameWords],
  ['A46 of a name that stands twice the last one holds, for the rules as for the store', twice],
]

async function threeFrames(run: AttackRun): Promise<void> {
  for (const [what, frame] of hostileFrames) {
    const link = await run.as('ada')
    for (let i = 0; i < 3; i++) link.send(frame)
    // Each may be refused by a transport that could not carry it, and then none has come to the API.
    await link.until('three refusals or the end', () => (link.refused === 3 ? true : link.end))
    const code = link.end?.code ?? 4400
    check([4400, 1003, 1006, 1007].includes(code), `${what}: the link was closed with ${code}`)
    check(!/"ok":true/.test(link.received), `${what}: something was served`)
  }
}

/** Sends every message of a row, as a request and, where it holds a filter, as a subscription. */
async function refuseAll(run: AttackRun, row: string): Promise<void> {
  const link = await run.as('ada')
  const before = JSON.stringify(run.world.notes.find())
  for (const request of hostileRequests.filter((one) => one.row === row)) {
    const answer = await link.answer(requestOf(request.action, request.fields))
    const sent = `${request.action} ${request.fields.slice(0, 100)}`
    check(refusalOf(request).test(answer), `${sent} was answered by ${answer.slice(0, 300)}`)
    // It does not give back what it was given.
    check(answer.length < 700, `${sent} was answered by ${answer.length} characters`)
  }
  for (const [, filter] of hostileFilters.filter(([of]) => of === row)) {
    const answer = await link.answer(`{"type":"subscribe","id":"s","resource":"notes","where":${filter}}`)
    check(/"type":"end".*"code":"bad_request"/.test(answer), `${filter.slice(0, 100)} was answered by ${answer}`)
  }
  checkEqual(JSON.stringify(run.world.notes.find()), before, 'the notes')
  checkEqual(link.end, undefined, 'the end of the link')
}

async function signsOfLike(run: AttackRun): Promise<void> {
  const link = await run.as('ada')
  for (const startsWith of ['%', '_ext', 'te%', '\\', 'text%']) {
    const reply = await link.request('notes', 'list', { where: { text: { startsWith } } })
    check(reply.ok, `${startsWith} was refused`)
    checkEqual(reply.rows, [], `the rows that begin with ${startsWith}`)
  }
}

async function sameWords(run: AttackRun): Promise<void> {
  const link = await run.as('ada')
  const say = async (field: string): Promise<string> => {
    const answer = await link.answer(requestOf('create', `"data":{"owner":"ada","text":"x","${field}":"x"}`))
    return answer.replaceAll(field, 'FIELD')
  }
  checkEqual(await say('secret'), await say('nosuch'), 'the answer for a hidden field')
}

async function twice(run: AttackRun): Promise<void> {
  const link = await run.as('ada')
  const create = (first: string, last: string): Promise<string> =>
    link.answer(requestOf('create', `"data":{"owner":"${first}","text":"twice","owner":"${last}"}`))
  check((await create('ada', 'bob')).includes('"code":"forbidden"'), 'the first name held, for a rule')
  check((await create('bob', 'ada')).includes('"owner":"ada"'), 'the first name held')
  const found = run.world.notes.find().filter(({ text }) => text === 'twice')
  checkEqual(
    found.map(({ owner }) => owner),
    ['ada'],
    'the owners of what was written',
  )
}
