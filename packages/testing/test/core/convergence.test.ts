import {
  type Change,
  type ChangeBatch,
  type Clock,
  type MemoryStore,
  type Row,
  compareRows,
  createApi,
  defineResource,
  groupBy,
  memoryBus,
  memoryStore,
} from '@rtapi/core'
import { type FakeClock, fakeClock } from '@rtapi/testing'
import { expect, test } from 'vitest'
import { turn } from '../../src/event-loop.ts'
import { type SeededRandom, seededRandom } from '../../src/seeded-random.ts'
import type { ViewState } from '../../src/view-state.ts'
import { ModelClient } from './model-client.ts'
import { Scheduler, scheduledLayer, scheduledStore } from './scheduled.ts'

type Note = { id: number; topicId: number; score: number | null; text: string; owner: number }
type Member = { id: number; userId: number; topicId: number }

/** `SEED=62` runs one seed again, `SEEDS=1000` runs more of them. */
const FIRST = Number(process.env['SEED'] ?? 1)
const SEEDS = Number(process.env['SEEDS'] ?? (process.env['SEED'] === undefined ? 60 : 1))

const USERS = [1, 2, 3]
const TOPICS = [1, 2, 3]

const queries = [
  {},
  { where: { topicId: 1 } },
  { where: { topicId: { in: [1, 2] } } },
  { where: { score: { gte: 3 } } },
  { where: { score: { isNull: true } }, order: [['text', 'desc']] },
  { order: [['score', 'desc']], limit: 3 },
  { where: { topicId: 2 }, order: [['score', 'asc']], limit: 2 },
  { where: { topicId: { in: [1, 3] } }, order: [['text', 'asc']], limit: 4 },
  { key: 2 },
  { fields: ['topicId'] },
] as const

/**
 * How this process hears of writes: some may be announced by nobody, and then they are found when it is told to look, or by
 * itself. Or there are so many at once that the work is sliced, and everything else happens between the slices.
 */
type Hearing = 'announced' | 'touched' | 'swept' | 'sliced'

const SWEEP = { interval: 20_000, jitter: 15_000 }
/** Where time passes, what waits for the scheduler waits long. */
const PATIENCE = {
  storeTimeout: 1e9,
  ruleTimeout: 1e9,
  layerTimeout: 1e9,
  heartbeatInterval: 1e9,
  sendTimeout: 1e9,
  snapshots: 8,
  loopLag: Infinity,
}

/** Each look at the clock takes a while, so that every slice is over soon. */
function hurried(clock: FakeClock): Clock {
  let looks = 0
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic() + 25 * looks++,
    setTimer: (delay, run) => clock.setTimer(delay, run),
    defer: (run) => clock.defer(run),
  }
}

/** Everything that one run is made of. Two processes share the log; what takes time takes it in an order of the seed. */
function world(seed: number, hearing: Hearing) {
  const random = seededRandom(seed)
  const scheduler = new Scheduler(random)
  const clock = fakeClock()
  const notes = memoryStore<Note>({
    entity: 'Note',
    fields: {
      id: 'integer',
      topicId: 'integer',
      score: { type: 'integer', nullable: true },
      text: 'string',
      owner: 'integer',
    },
  })
  const members = memoryStore<Member>({
    entity: 'Member',
    fields: { id: 'integer', userId: 'integer', topicId: 'integer' },
  })
  const bus = memoryBus({ clock, history: { entries: 20 } })
  const errors: unknown[] = []
  // Both processes write: each change is announced now by this one, now by that one.
  const outlets: ((batch: ChangeBatch) => void)[] = []
  let together: Change[] | undefined
  for (const store of [notes, members]) {
    store.start((batch) => {
      const isSeen = (hearing !== 'touched' && hearing !== 'swept') || !random.chance(0.2)
      if (together !== undefined) together.push(...(batch.changes as readonly Change[]))
      else if (isSeen) random.pick(outlets)(known(random, batch))
    })
  }
  const api = () =>
    createApi({
      resources: [
        defineResource('notes', {
          store: scheduledStore(notes, scheduler),
          groups: groupBy('topicId'),
          permissions: [
            {
              scope: ({ session }) =>
                scheduler.call(() => {
                  const own = members.find().filter(({ userId }) => userId === session.user?.id)
                  return {
                    or: [{ topicId: { in: own.map(({ topicId }) => topicId) } }, { owner: Number(session.user?.id) }],
                  }
                }),
            },
          ],
          dependsOn: [{ entity: 'Member', users: ({ userId }) => [Number(userId)] }],
        }),
        defineResource('members', { store: members, permissions: [] }),
      ],
      changes: [{ start: (emit) => void outlets.push(emit), stop: () => undefined }],
      layer: scheduledLayer(bus.layer(), scheduler, random),
      authenticate: ({ token }) => ({ user: { id: Number(token) } }),
      clock: hearing === 'sliced' ? hurried(clock) : clock,
      limits: {
        rate: 1e9,
        burst: 1e9,
        subscriptions: 1_000,
        ...(hearing === 'swept' || hearing === 'sliced' ? PATIENCE : {}),
      },
      ...(hearing === 'swept' ? { sweep: SWEEP } : {}),
      report: (error) => errors.push(error),
    })
  /** What is written meanwhile is one transaction. */
  const transaction = (write: () => void): void => {
    together = []
    write()
    const changes = together
    together = undefined
    random.pick(outlets)(known(random, { tx: `t${changes.length}`, changes: merged(changes) }))
  }
  return { random, scheduler, clock, notes, members, api, errors, transaction }
}

/** A source tells of each record once. */
function merged(changes: readonly Change[]): readonly Change[] {
  const merged = new Map<unknown, Change>()
  for (const change of changes) {
    const before = merged.get(change.key)
    merged.set(change.key, before === undefined ? change : { ...change, ...before, after: change.after ?? {} })
  }
  return [...merged.values()]
}

/** A source does not always know what a record was before, nor even which records have changed. */
function known(random: SeededRandom, batch: ChangeBatch): ChangeBatch {
  const { tx, changes } = batch
  const dice = random.integer(10)
  if (dice === 0) return { tx, changes: changes.map(({ entity }) => ({ type: 'coarse', entity })) }
  if (dice > 2) return batch
  const vague = (change: Change): Change => ({
    type: 'change',
    entity: change.entity,
    key: change.key,
    action: change.action,
  })
  return { tx, changes: changes.map((change) => (change.type === 'change' ? vague(change) : change)) }
}

type World = ReturnType<typeof world>

function expected({ notes, members }: World, user: number, query: (typeof queries)[number]): readonly Row[] {
  const topics = new Set(
    members
      .find()
      .filter(({ userId }) => userId === user)
      .map(({ topicId }) => topicId),
  )
  const {
    where = {},
    order = [],
    limit,
    key,
    fields,
  } = { where: undefined, order: undefined, limit: undefined, key: undefined, fields: undefined, ...query }
  const terms = [...order, ['id', 'asc'] as const].map(
    ([field, direction]) => [field, direction, field === 'text' ? 'string' : 'integer'] as const,
  )
  const filter = where as { topicId?: number | { in: readonly number[] }; score?: { gte?: number; isNull?: boolean } }
  return notes
    .find()
    .filter((row) => topics.has(row.topicId) || row.owner === user)
    .filter((row) => key === undefined || row.id === key)
    .filter(
      ({ topicId }) =>
        filter.topicId === undefined ||
        (typeof filter.topicId === 'number' ? topicId === filter.topicId : filter.topicId.in.includes(topicId)),
    )
    .filter(({ score }) => filter.score?.gte === undefined || (score !== null && score >= filter.score.gte))
    .filter(({ score }) => filter.score?.isNull === undefined || score === null)
    .sort((a, b) => compareRows(terms, a, b))
    .slice(0, limit)
    .map((row) => (fields === undefined ? row : { id: row.id, topicId: row.topicId }))
}

const change = (random: SeededRandom, notes: MemoryStore<Note>): void => {
  const rows = notes.find()
  const id = rows.length === 0 ? 0 : random.pick(rows).id
  const score = random.chance(0.2) ? null : random.integer(6)
  const kind = random.next()
  if (rows.length < 4 || kind < 0.3) {
    notes.create({
      topicId: random.pick(TOPICS),
      score,
      text: random.pick(['a', 'b', 'B', 'é']),
      owner: random.pick(USERS),
    })
  } else if (kind < 0.5) notes.delete(id)
  else if (kind < 0.7) notes.update(id, { topicId: random.pick(TOPICS) })
  else notes.update(id, { score, owner: random.pick(USERS) })
}

const changeMember = (random: SeededRandom, members: MemoryStore<Member>): void => {
  const [row] = members.find().filter(() => random.chance(0.3))
  if (row === undefined) members.create({ userId: random.pick(USERS), topicId: random.pick(TOPICS) })
  else if (random.chance(0.5)) members.delete(row.id)
  else members.update(row.id, { topicId: random.pick(TOPICS) })
}

/** Adds records until there are many, or changes them all, or all of a topic, in one transaction. */
const changeMany = ({ random, notes, transaction }: World): void => {
  const rows = notes.find()
  // Long enough for a difference to be sent in parts.
  const text = random.pick(['a', 'b', 'B', 'é']).repeat(1_000)
  const topicId = random.chance(0.5) ? undefined : random.pick(TOPICS)
  transaction(() => {
    for (let n = rows.length; n < 60; n++) {
      notes.create({ topicId: random.pick(TOPICS), score: random.integer(6), text, owner: random.pick(USERS) })
    }
    for (const row of rows) {
      if (topicId === undefined || row.topicId === topicId) notes.update(row.id, { score: random.integer(6), text })
    }
  })
}

/** Lets everything that is under way come to its end, in the order of the seed. */
async function quiesce(scheduler: Scheduler, clock: FakeClock): Promise<void> {
  await clock.settle()
  while (scheduler.size > 0) {
    scheduler.step()
    await clock.settle()
  }
}

/** Has everything found that nobody has announced. */
async function findAll(
  { clock, scheduler }: World,
  apis: readonly [Touchable, Touchable],
  how: Hearing,
): Promise<void> {
  if (how === 'touched') {
    const touched = Promise.all([apis[0].touch('members'), apis[1].touch('notes')])
    await quiesce(scheduler, clock)
    await touched
  }
  if (how !== 'swept') return
  // Whoever is asked while something is under way is asked again a little later.
  for (let time = 0; time <= 2 * SWEEP.interval; time += 250) {
    await clock.advance(250)
    await quiesce(scheduler, clock)
  }
}

type Touchable = ReturnType<World['api']>

async function run(seed: number, steps: number, hearing: Hearing): Promise<{ checked: number; resumed: number }> {
  const here = world(seed, hearing)
  const { random, scheduler, clock, notes, members } = here
  const apis = [here.api(), here.api()] as const
  await quiesce(scheduler, clock)
  let clients: ModelClient[] = []
  let checked = 0
  let resumed = 0
  const act = (): void => {
    const dice = random.integer(20)
    const client = clients.length === 0 ? undefined : random.pick(clients)
    if (client === undefined || (dice === 0 && clients.length < 4))
      clients.push(new ModelClient(random.pick(apis), random.pick(USERS)))
    else if (dice === 1) {
      client.close()
      const next = new ModelClient(random.pick(apis), client.user)
      for (const view of client.views.values()) {
        if (view.state.end === undefined) next.resume(view)
        resumed++
      }
      clients = clients.map((other) => (other === client ? next : other))
    } else if (dice <= 3) client.subscribe(random.pick(queries))
    else if (dice === 4 && client.views.size > 0) client.unsubscribe(random.pick([...client.views.keys()]))
    else if (dice === 5) client.pause()
    else if (dice === 6) client.read()
    else if (dice <= 8) changeMember(random, members)
    else if (dice === 9 && hearing === 'touched') {
      const topic = random.chance(0.5) ? { topicId: random.pick(TOPICS) } : { score: { gte: random.integer(6) } }
      void random.pick(apis).touch('notes', topic)
    } else if (dice === 9 && hearing === 'sliced') changeMany(here)
    else change(random, notes)
  }
  for (let i = 0; i < steps; i++) {
    act()
    for (let n = random.integer(6); n > 0; n--) scheduler.step()
    if (hearing === 'sliced') {
      for (let n = random.integer(8); n > 0; n--) {
        clock.tick()
        await turn()
      }
    } else if (random.chance(0.7)) await clock.settle()
    if (hearing === 'swept' && random.chance(0.3)) await clock.advance(random.integer(6_000))
    if (i % 40 !== 39) continue
    for (const client of clients) client.read()
    await quiesce(scheduler, clock)
    await findAll(here, apis, hearing)
    for (const client of clients) {
      expect(client.violations, `seed ${seed}, step ${i}`).toEqual([])
      expect(client.closing, `seed ${seed}, step ${i}`).toBeUndefined()
      for (const [id, { query, state, from }] of client.views) {
        const want = expected(here, client.user, query)
        expect(
          state.rows,
          `seed ${seed}, step ${i}, user ${client.user}, ${id} ${JSON.stringify(query)}\n${from === undefined ? '' : story(from)}\nresumed\n${story(state)}`,
        ).toEqual(want)
        checked++
      }
    }
  }
  for (const client of clients) client.close()
  await quiesce(scheduler, clock)
  for (const api of apis) {
    const { feeds, subscriptions, connections, groups } = api.stats()
    expect({ feeds, subscriptions, connections, groups }, `seed ${seed}`).toEqual({
      feeds: 0,
      subscriptions: 0,
      connections: 0,
      groups: 2,
    })
    await api.close()
  }
  expect(here.errors, `seed ${seed}`).toEqual([])
  expect(clock.timers, `seed ${seed}`).toBe(0)
  return { checked, resumed }
}

function story(state: ViewState): string {
  return state.log
    .slice(-8)
    .map((message) => JSON.stringify(message))
    .join('\n')
}

test.each(['announced', 'touched', 'swept', 'sliced'] as const)(
  'every view equals a fresh authorised query, in any order of what happens: %s',
  async (hearing) => {
    let checked = 0
    const seeds = hearing === 'announced' ? SEEDS : Math.ceil(SEEDS / 3)
    for (let seed = FIRST; seed < FIRST + seeds; seed++) checked += (await run(seed, 120, hearing)).checked
    expect(checked).toBeGreaterThan(seeds * 5)
  },
  60_000,
)
