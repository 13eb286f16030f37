import { describe, expect, onTestFinished, test } from 'vitest'
import { OutcomeUnknownError } from '../src/index.ts'
import { type Note, type NotesWorld, notesWorld } from './support/comments-api.ts'

/** `SEEDS=1000` runs more of them. */
const SEEDS = Number(process.env['SEEDS'] ?? 12)

/** A world that must have nothing left at its end. */
function world(): NotesWorld {
  const made = notesWorld()
  onTestFinished(async () => {
    expect(await made.close()).toEqual({ timers: 0, connections: 0, subscriptions: 0, feeds: 0 })
  })
  return made
}

function texts(rows: readonly { readonly text: string }[]): string[] {
  return rows.map(({ text }) => text)
}

describe('a live view', () => {
  test('shows what there is and follows what anybody writes', async () => {
    const { store, clock, client } = world()
    store.create({ topicId: 7, text: 'a', rank: 1 })
    store.create({ topicId: 8, text: 'b', rank: 2 })
    const reader = client().client
    const view = reader.notes.live({ where: { topicId: 7 }, order: { rank: 'desc' } })
    await clock.settle()
    await view.ready
    expect(texts(view.rows)).toEqual(['a'])
    const { client: writer } = client({ token: 'ann' })
    const { key } = await settled(clock, writer.notes.create({ topicId: 7, text: 'c', rank: 9 }))
    expect(texts(view.rows)).toEqual(['c', 'a'])
    await settled(clock, writer.notes.update(key, { rank: 0 }))
    expect(texts(view.rows)).toEqual(['a', 'c'])
    await settled(clock, writer.notes.update(2, { topicId: 7 }))
    expect(texts(view.rows)).toEqual(['b', 'a', 'c'])
    await settled(clock, writer.notes.update(1, { topicId: 8 }))
    await settled(clock, writer.notes.delete(key))
    expect(texts(view.rows)).toEqual(['b'])
    expect(JSON.stringify(view.rows)).not.toContain('hush')
  })

  test('contains a write of the same client when the write resolves', async () => {
    const { clock, client } = world()
    const { client: own } = client({ token: 'ann' })
    const view = own.notes.live()
    await settled(clock, view.ready)
    const created = own.notes.create({ topicId: 7, text: 'a' }).then((written) => [written.pending, texts(view.rows)])
    expect(await settled(clock, created)).toEqual([false, ['a']])
    const updated = own.notes.update(1, { text: 'b' }).then(() => texts(view.rows))
    expect(await settled(clock, updated)).toEqual(['b'])
    const deleted = own.notes.delete(1).then(() => texts(view.rows))
    expect(await settled(clock, deleted)).toEqual([])
  })

  test('with fields is sorted although it was not asked for the fields of its order', async () => {
    const { store, clock, client } = world()
    for (const rank of [3, 1, 2]) store.create({ topicId: 7, text: `rank ${rank}`, rank })
    const view = client().client.notes.live({ fields: ['text'], order: { rank: 'asc' } })
    await settled(clock, view.ready)
    store.create({ topicId: 7, text: 'rank 2', rank: 2 })
    store.update(1, { rank: 0 })
    await clock.settle()
    expect(texts(view.rows)).toEqual(['rank 3', 'rank 1', 'rank 2', 'rank 2'])
  })

  test('of one key, of a lookup, of a parent, of the first few', async () => {
    const { store, clock, client } = world()
    for (const text of ['a', 'b', 'c', 'd']) store.create({ topicId: text < 'c' ? 1 : 2, text })
    const { notes } = client().client
    const one = notes.live({ key: 2 })
    const some = notes.live({ where: { ids: [1, 4] } })
    const child = notes.live({ params: { topicId: 2 } })
    const first = notes.live({ order: { text: 'asc' }, limit: 2 })
    await clock.settle()
    const shown = (): string[] => [one, some, child, first].map(({ rows }) => texts(rows).join(''))
    expect(shown()).toEqual(['b', 'ad', 'cd', 'ab'])
    store.delete(1)
    store.update(4, { topicId: 1 })
    await clock.settle()
    expect(shown()).toEqual(['b', 'd', 'c', 'bc'])
    store.delete(2)
    await clock.settle()
    expect(shown()).toEqual(['', 'd', 'c', 'cd'])
  })

  test('that the server refuses ends with the reason', async () => {
    const { clock, client } = world()
    // A filter that the types forbid.
    const view = client().client.notes.live({ where: { secret: 'hush' } as object })
    const error = view.ready.catch((reason: unknown) => reason)
    await clock.settle()
    expect(await error).toMatchObject({ code: 'bad_request' })
    expect(view.status).toBe('ended')
  })

  test('is the same for two views of one query, opened at different times', async () => {
    const { store, clock, client } = world()
    const { notes } = client().client
    const first = notes.live({ where: { topicId: 7 } })
    await clock.settle()
    store.create({ topicId: 7, text: 'a' })
    const second = notes.live({ where: { topicId: 7 } })
    store.create({ topicId: 7, text: 'b' })
    await clock.settle()
    store.create({ topicId: 7, text: 'c' })
    await clock.settle()
    expect([texts(first.rows), texts(second.rows)]).toEqual([
      ['a', 'b', 'c'],
      ['a', 'b', 'c'],
    ])
    first.close()
    await clock.settle()
    store.create({ topicId: 7, text: 'd' })
    await clock.settle()
    expect([texts(first.rows), texts(second.rows)]).toEqual([
      ['a', 'b', 'c'],
      ['a', 'b', 'c', 'd'],
    ])
  })
})

describe('requests', () => {
  test('lists go page by page', async () => {
    const { store, clock, client } = world()
    for (let rank = 0; rank < 5; rank++) store.create({ topicId: 7, text: `${rank}`, rank })
    const { notes } = client().client
    const seen: string[] = []
    let after: string | undefined
    do {
      const page = await settled(
        clock,
        notes.list({ order: { rank: 'desc' }, limit: 2, ...(after === undefined ? {} : { after }) }),
      )
      seen.push(texts(page.rows).join())
      after = page.next
    } while (after !== undefined)
    expect(seen).toEqual(['4,3', '2,1', '0'])
  })

  test('fail as the server says', async () => {
    const { store, clock, client } = world()
    store.create({ topicId: 7, text: 'mine', owner: 'ann' })
    const { client: bob } = client({ token: 'bob' })
    const { client: nobody } = client()
    await expect(settled(clock, bob.notes.get(1))).rejects.toMatchObject({ code: 'not_found' })
    await expect(settled(clock, bob.notes.get(99))).rejects.toMatchObject({ code: 'not_found' })
    await expect(settled(clock, nobody.notes.create({ topicId: 7, text: 'x' }))).rejects.toMatchObject({
      code: 'unauthenticated',
    })
    await expect(
      settled(clock, bob.notes.create({ topicId: 'x' as unknown as number, text: 'x' })),
    ).rejects.toMatchObject({
      code: 'invalid',
      details: [{ path: ['topicId'] }],
    })
  })

  test('own actions and describe', async () => {
    const { store, clock, client } = world()
    for (const rank of [1, 2, 3]) store.create({ topicId: 7, text: 'loud', rank })
    const { notes } = client({ token: 'ann' }).client
    expect(await settled(clock, notes.action('above', { data: { rank: 1 } }))).toBe(2)
    expect(await settled(clock, notes.action('shout', { key: 1 }))).toBe('LOUD')
    expect(await settled(clock, notes.describe())).toMatchObject({ fields: { rank: { type: 'integer' } } })
    const row = await settled(clock, notes.get(2))
    expect(notes.keyOf(row)).toBe(2)
  })
})

test('a link in silence stands, whoever listens', async () => {
  const { api, store, clock, client } = world()
  const { client: quiet } = client()
  const view = quiet.notes.live()
  await settled(clock, view.ready)
  const statuses: string[] = []
  view.subscribe((_, { status }) => statuses.push(status))
  await clock.advance(600_000)
  expect(api.stats().connections).toBe(1)
  store.create({ topicId: 7, text: 'a' })
  await clock.settle()
  expect([statuses, texts(view.rows)]).toEqual([['live', 'live'], ['a']])
})

describe('a lost link', () => {
  test('costs nothing but time: the view resumes, and only what changed is sent again', async () => {
    const { store, clock, client } = world()
    for (let id = 1; id <= 20; id++) store.create({ topicId: 7, text: `${id}`, rank: id })
    const { client: reader, transport } = client()
    const view = reader.notes.live({ where: { topicId: 7 }, order: { rank: 'asc' } })
    await settled(clock, view.ready)
    const kept = view.rows[9]
    const received: unknown[] = []
    reader.onFrame((direction, messages) => direction === 'in' && received.push(...messages))
    transport.offline = true
    transport.drop()
    store.update(1, { text: 'new' })
    store.delete(2)
    store.update(3, { topicId: 8 })
    store.create({ topicId: 7, text: '21', rank: 21 })
    await clock.advance(5_000)
    expect([view.status, view.rows.length]).toEqual(['stale', 20])
    transport.offline = false
    await clock.advance(20_000)
    expect(view.status).toBe('live')
    expect(texts(view.rows)).toEqual(['new', ...Array.from({ length: 17 }, (_, i) => `${i + 4}`), '21'])
    expect(view.rows[7]).toBe(kept)
    expect(reader.connection.getSnapshot().recovery).toEqual({ resumed: 1, reset: 0, waiting: 0 })
    expect(received).toContainEqual(
      expect.objectContaining({ type: 'snapshot', rows: [expect.anything(), expect.anything()] }),
    )
  })

  test('within a write leaves its outcome open; without a connection requests wait', async () => {
    const { store, clock, client } = world()
    const { client: writer, transport } = client({ token: 'ann' })
    writer.connect()
    await clock.settle()
    const cut = writer.notes.create({ topicId: 7, text: 'cut' }).catch((error: unknown) => error)
    transport.drop()
    expect(await cut).toBeInstanceOf(OutcomeUnknownError)
    const later = writer.notes.create({ topicId: 7, text: 'later' })
    await clock.advance(2_000)
    expect(await later).toMatchObject({ row: { text: 'later' } })
    expect(store.find().filter(({ text }) => text === 'later')).toHaveLength(1)
  })
})

describe('who is signed in', () => {
  test('another user: what only the first could see is gone at once', async () => {
    const { store, clock, client } = world()
    store.create({ topicId: 7, text: 'public' })
    store.create({ topicId: 7, text: 'of ann', owner: 'ann' })
    store.create({ topicId: 7, text: 'of bob', owner: 'bob' })
    const { client: page } = client({ token: 'ann' })
    const view = page.notes.live()
    await settled(clock, view.ready)
    expect(texts(view.rows)).toEqual(['public', 'of ann'])
    const shown: string[][] = []
    view.subscribe((rows) => shown.push(texts(rows)))
    const taken = page.authenticate('bob')
    await clock.settle()
    await taken
    expect(page.connection.getSnapshot()).toMatchObject({ status: 'live', user: 'bob' })
    await clock.settle()
    expect(shown).toEqual([['public', 'of ann'], [], ['public', 'of bob']])
    await settled(clock, page.authenticate(null))
    await clock.settle()
    expect(texts(view.rows)).toEqual(['public'])
  })

  test('the same user again: nothing moves', async () => {
    const { store, clock, client } = world()
    store.create({ topicId: 7, text: 'of ann', owner: 'ann' })
    const { client: page } = client({ token: 'ann' })
    const view = page.notes.live()
    await settled(clock, view.ready)
    const { rows } = view
    await settled(clock, page.authenticate('ann'))
    store.create({ topicId: 7, text: 'new' })
    await clock.settle()
    expect(view.rows).toHaveLength(2)
    expect(view.rows[0]).toBe(rows[0])
  })

  test('a session that expires is renewed before it does', async () => {
    const { store, clock, client } = world()
    let asked = 0
    const { client: page } = client({ token: () => (asked++, `ann/${clock.now() + 120_000}`) })
    const view = page.notes.live()
    await settled(clock, view.ready)
    const statuses: string[] = []
    view.subscribe((_, { status }) => statuses.push(status))
    for (let minute = 0; minute < 5; minute++) {
      await clock.advance(60_000)
      store.create({ topicId: 7, text: `${minute}` })
      await clock.settle()
    }
    expect(asked).toBeGreaterThanOrEqual(4)
    expect(view.rows).toHaveLength(5)
    expect(new Set(statuses)).toEqual(new Set(['live']))
  })

  test('a refused token ends the connection; signing in starts the views', async () => {
    const { store, clock, client, revoked } = world()
    store.create({ topicId: 7, text: 'of ann', owner: 'ann' })
    revoked.add('old')
    const { client: page } = client({ token: 'old' })
    const view = page.notes.live()
    await clock.settle()
    expect([page.connection.status, view.status]).toEqual(['closed', 'ended'])
    await settled(clock, page.authenticate('ann'))
    await clock.settle()
    expect([view.status, texts(view.rows)]).toEqual(['live', ['of ann']])
  })

  test('a session ended by the server: closed, and nothing is shown', async () => {
    const { api, store, clock, client } = world()
    store.create({ topicId: 7, text: 'of ann', owner: 'ann' })
    const { client: page } = client({ token: 'ann' })
    const view = page.notes.live()
    await settled(clock, view.ready)
    await settled(clock, api.sessions.end({ user: 'ann' }))
    await clock.settle()
    expect([page.connection.status, view.status, view.rows]).toEqual(['closed', 'ended', []])
  })
})

test('random writes, views, cuts and changes of user: every view ends as a fresh query', async () => {
  let resumed = 0
  for (let seed = 1; seed <= SEEDS; seed++) resumed += await converge(seed)
  // Cuts were survived by resuming, not by loading anew alone.
  expect(resumed).toBeGreaterThan(5 * SEEDS)
})

/** Answers how many views have gone on from their positions. */
async function converge(seed: number): Promise<number> {
  const { store, clock, client, close } = notesWorld()
  let state = seed * 2_654_435_761
  const pick = (below: number): number => {
    state = (Math.imul(state ^ (state >>> 15), 2_246_822_519) + 0x9e37_79b9) >>> 0
    return state % below
  }
  const queries = [
    { where: { topicId: 1 } },
    { order: { rank: 'desc' }, limit: 3 },
    { where: { rank: { gte: 2 } }, order: { text: 'asc' } },
    {},
  ] as const
  const clients = [client({ token: 'ann' }), client({ token: 'bob' }), client()]
  let resumed = 0
  for (const { client: each } of clients) {
    let before = 0
    each.connection.subscribe(({ recovery }) => {
      const now = recovery?.resumed ?? 0
      if (now > before) resumed += now - before
      before = now
    })
  }
  const views = clients.flatMap(({ client: { notes } }) =>
    queries.map((query) => ({ notes, query, view: notes.live(query) })),
  )
  for (let step = 0; step < 150; step++) {
    const note: Partial<Note> = { topicId: pick(3), rank: pick(5), owner: [null, 'ann', 'bob'][pick(3)] ?? null }
    const key = 1 + pick(12)
    const chosen = clients[pick(clients.length)]
    switch (pick(20)) {
      case 0:
      case 1:
      case 2:
        store.create({ ...note, text: `${seed}/${step}` })
        break
      case 3:
      case 4:
      case 5:
      case 6:
        store.update(key, note)
        break
      case 7:
      case 8:
        store.delete(key)
        break
      case 9:
      case 10:
        chosen?.transport.drop()
        break
      case 11:
        void chosen?.client.authenticate(['ann', 'bob', null][pick(3)] ?? null)
        break
      case 12:
      case 13:
      case 14:
        await clock.advance(pick(3_000))
        break
      default:
        await clock.settle()
    }
  }
  await clock.advance(60_000)
  for (const { notes, query, view } of views) {
    expect(view.status, `seed ${seed}`).toBe('live')
    const fresh = await settled(clock, notes.list({ ...query, limit: 'limit' in query ? query.limit : 1_000 }))
    expect(view.rows, `seed ${seed}, ${JSON.stringify(query)}`).toEqual(fresh.rows)
  }
  expect(await close()).toEqual({ timers: 0, connections: 0, subscriptions: 0, feeds: 0 })
  return resumed
}

/** The promise, with all that is under way brought to rest meanwhile. */
async function settled<T>(clock: NotesWorld['clock'], promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined)
  await clock.settle()
  return await promise
}
