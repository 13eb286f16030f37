import type { ClientMessage, Json } from '@rtapi/core/protocol'
import { type SeededRandom, seededRandom } from '@rtapi/testing'
import type { BoardProcess } from '../board-process.ts'
import { createdKey } from '../replies.ts'
import { type LinkName, links } from '../transports.ts'
import { type WireClient, connect } from '../wire-client.ts'
import { BoardModel } from './board-model.ts'
import { type Arrival, WatchedClient } from './watched-client.ts'

const people = ['alice', 'bob', 'carol'] as const
type Person = (typeof people)[number]

/** What everybody watches who comes. */
const views = ['tasks', 'projects', 'comments'].map((resource): ClientMessage => ({
  type: 'subscribe',
  id: resource,
  resource,
}))

/**
 * An administrator who changes at random what everybody may see and what there is to see, and a client over each
 * transport that asks, watches, is lost, comes back and does not read. Every text of every version of a record stands
 * nowhere else, and whatever comes to a client is searched for them.
 */
export class CanaryRun {
  readonly leaks: string[] = []
  /** Texts that have come and were allowed to. */
  found = 0
  readonly #random: SeededRandom
  readonly #board: BoardProcess
  readonly #model: BoardModel
  readonly #clients: WatchedClient[] = []
  readonly #arrivals: Arrival[] = []
  readonly #tasks = new Set<number>()
  readonly #comments = new Set<number>()
  readonly #projects: number[] = []
  readonly #ids = new Map<Person, number>()
  /** Ids of memberships by project and name. */
  readonly #memberships = new Map<string, number>()
  readonly #root: WireClient

  private constructor(seed: number, board: BoardProcess, root: WireClient) {
    this.#random = seededRandom(seed)
    this.#model = new BoardModel(`${seed}`)
    this.#board = board
    this.#root = root
  }

  static async start(seed: number, board: BoardProcess, tokens: ReadonlyMap<string, string>): Promise<CanaryRun> {
    const run = new CanaryRun(seed, board, await connect(board.line, { token: tokens.get('root') ?? '' }))
    for (const name of people) run.#ids.set(name, userOf(tokens.get(name) ?? ''))
    for (const name of people) {
      await run.#act('users', 'update', { key: run.#id(name), data: { active: true, role: 'member' } })
      await run.#write('users', run.#id(name), ['name'])
    }
    for (let i = 0; i < 3; i++) await run.#createProject()
    for (let i = 0; i < 5; i++) await run.#createTask()
    const viewers = [...people, null]
    for (const [i, transport] of (Object.keys(links) as LinkName[]).entries()) {
      const viewer = viewers[(i + seed) % viewers.length] ?? null
      const client = new WatchedClient(run.#model, transport, viewer, viewer === null ? undefined : tokens.get(viewer))
      run.#clients.push(client)
      await client.start(board.line, (arrival) => run.#arrivals.push(arrival))
      await client.come(views)
    }
    return run
  }

  /** One thing that happens. */
  async step(): Promise<void> {
    await (this.#random.chance(0.5) ? this.#change() : this.#ask())
    if (this.#random.chance(0.1)) for (const client of this.#clients) await client.catchUp()
    else if (this.#random.chance(0.5)) await this.#random.pick(this.#clients).catchUp()
    this.#judge()
  }

  async end(): Promise<void> {
    for (const client of this.#clients) client.resume()
    for (const client of this.#clients) await client.catchUp()
    this.#judge()
    await Promise.all(this.#clients.map((client) => client.stop()))
    // With all that is in them.
    for (const key of this.#projects) await this.#act('projects', 'delete', { key })
    await this.#root.close()
    // Whatever is logged is for those who may see no record.
    const logged = this.#board.output.stderr.match(/.*canary-.*/g) ?? []
    this.leaks.push(...logged.map((line) => `logged: ${line}`))
  }

  /** Looks at what has come, once it is known what all texts are. */
  #judge(): void {
    for (const { client, texts, since, until } of this.#arrivals.splice(0)) {
      for (const text of texts) {
        if (this.#model.mayBeSent(client.viewer, text, { since, until })) this.found++
        else
          this.leaks.push(
            `${client.viewer} over ${client.transport} got ${text} in state ${since} to ${until}: ${this.#model.describe(text)}`,
          )
      }
    }
  }

  // ── What changes ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** What decides who may see something often changes together with what there is to see: the second does not wait. */
  async #change(): Promise<void> {
    const decides = this.#changeOne()
    const writes = this.#random.chance(0.5)
      ? this.#write('tasks', this.#some(this.#tasks), ['title', 'notes'])
      : undefined
    await Promise.all([decides, writes])
  }

  async #changeOne(): Promise<void> {
    const { state } = this.#model
    const [person, project] = [this.#random.pick(people), this.#random.pick(this.#projects)]
    const task = this.#some(this.#tasks)
    switch (this.#random.integer(12)) {
      case 0:
      case 1: {
        const open = new Set(state.public)
        const isPublic = !open.delete(project)
        if (isPublic) open.add(project)
        this.#model.change({ public: open })
        return void (await this.#act('projects', 'update', { key: project, data: { public: isPublic } }))
      }
      case 2:
      case 3:
        return this.#changeMembership(person, project)
      case 4: {
        const isAdmin = this.#random.chance(0.3)
        this.#model.change({ roles: new Map([...state.roles, [person, isAdmin ? 'admin' : 'member']]) })
        return void (await this.#act('users', 'update', {
          key: this.#id(person),
          data: { role: isAdmin ? 'admin' : 'member' },
        }))
      }
      case 5: {
        const inactive = new Set(state.inactive)
        const isActive = inactive.delete(person)
        if (!isActive && this.#random.chance(0.7)) return
        if (!isActive) inactive.add(person)
        this.#model.change({ inactive })
        return void (await this.#act('users', 'update', { key: this.#id(person), data: { active: isActive } }))
      }
      case 6:
        return this.#createTask()
      case 7:
        return this.#write('projects', project, ['name'])
      case 8:
        return this.#random.chance(0.5) ? this.#write('users', this.#id(person), ['name']) : this.#comment(task)
      case 9: {
        if (this.#tasks.size < 4) return
        this.#tasks.delete(task)
        this.#model.change({})
        for (const comment of this.#comments) if (state.taskOf.get(comment) === task) this.#comments.delete(comment)
        return void (await this.#act('tasks', 'delete', { key: task }))
      }
      case 10:
        return this.#write('tasks', task, ['title', 'notes'], project)
      default:
        return this.#write('tasks', task, ['title', 'notes'])
    }
  }

  /** New texts, and perhaps another project at the same time. */
  async #write(
    kind: 'projects' | 'tasks' | 'users',
    id: number,
    fields: readonly string[],
    projectId?: number,
  ): Promise<void> {
    const { projectOf } = this.#model.state
    this.#model.change(projectId === undefined ? {} : { projectOf: new Map([...projectOf, [id, projectId]]) })
    const data: Record<string, Json> = projectId === undefined ? {} : { projectId }
    for (const field of fields) {
      const text = this.#model.text()
      this.#model.place(text, kind, id, field)
      data[field] = text
    }
    await this.#act(kind, 'update', { key: id, data })
  }

  async #createProject(): Promise<void> {
    const [name, isPublic] = [this.#model.text(), this.#random.chance(0.5)]
    this.#model.change({})
    const id = await this.#act('projects', 'create', { data: { name, public: isPublic } })
    if (isPublic) this.#model.amend({ public: new Set([...this.#model.state.public, id]) })
    this.#model.place(name, 'projects', id, 'name')
    this.#projects.push(id)
  }

  async #createTask(): Promise<void> {
    const projectId = this.#random.pick(this.#projects)
    const [title, notes] = [this.#model.text(), this.#model.text()]
    this.#model.change({})
    const id = await this.#act('tasks', 'create', { data: { projectId, title, notes } })
    this.#model.amend({ projectOf: new Map([...this.#model.state.projectOf, [id, projectId]]) })
    this.#model.place(title, 'tasks', id, 'title')
    this.#model.place(notes, 'tasks', id, 'notes')
    this.#tasks.add(id)
  }

  async #comment(taskId: number): Promise<void> {
    const text = this.#model.text()
    this.#model.change({})
    const id = await this.#act('comments', 'create', { data: { taskId, text } })
    this.#model.amend({ taskOf: new Map([...this.#model.state.taskOf, [id, taskId]]) })
    this.#model.place(text, 'comments', id, 'text')
    this.#comments.add(id)
  }

  async #changeMembership(person: Person, project: number): Promise<void> {
    const name = `${project} ${person}`
    const members = new Set(this.#model.state.members)
    const existing = this.#memberships.get(name)
    if (existing !== undefined) {
      members.delete(name)
      this.#memberships.delete(name)
      this.#model.change({ members })
      await this.#act('memberships', 'delete', { key: existing })
      return
    }
    this.#model.change({ members: members.add(name) })
    const data = { projectId: project, userId: this.#id(person) }
    this.#memberships.set(name, await this.#act('memberships', 'create', { data }))
  }

  /** Of the administrator, and it succeeds: else the model does not know what there is. */
  async #act(resource: string, action: string, fields: Parameters<WireClient['request']>[2]): Promise<number> {
    const reply = await this.#root.request(resource, action, fields)
    if (!reply.ok) throw new Error(`${action} of ${resource} was refused: ${JSON.stringify(reply.error)}`)
    return action === 'create' ? createdKey(reply) : 0
  }

  // ── What is asked ─────────────────────────────────────────────────────────────────────────────────────────────────

  async #ask(): Promise<void> {
    const { state } = this.#model
    const client = this.#random.pick(this.#clients)
    if (client.isGone) return client.come(views)
    const [task, project] = [this.#some(this.#tasks), this.#random.pick(this.#projects)]
    const query = this.#random.pick<readonly [string, object]>([
      ['tasks', {}],
      ['tasks', { where: { projectId: project } }],
      ['tasks', { key: task }],
      ['tasks', { order: [['title', 'desc']], limit: 3 }],
      ['tasks', { where: { title: { startsWith: 'canary-1' } }, fields: ['id', 'title'] }],
      ['projects', {}],
      ['comments', { where: { taskId: task } }],
      ['comments', {}],
      ['users', {}],
    ])
    const [resource, fields] = query
    switch (this.#random.integer(10)) {
      case 0:
      case 1:
      case 2:
        return client.send({ type: 'subscribe', id: `s${this.#random.integer(8)}`, resource, ...fields })
      case 3:
        return client.send({ type: 'unsubscribe', id: `s${this.#random.integer(8)}` })
      case 4:
        return client.request(resource, 'key' in fields ? 'get' : 'list', fields)
      case 5:
        return client.request('tasks', 'list', {
          where: { notes: { gte: this.#model.text() } },
          order: [['title', 'asc']],
        })
      case 6: {
        // What would be stored is no attack.
        const may = client.viewer === null || state.roles.get(client.viewer) === 'admin'
        if (may || state.members.has(`${state.projectOf.get(task)} ${client.viewer}`)) return
        const data = { title: this.#model.text(), ...(this.#random.chance(0.5) ? { projectId: project } : {}) }
        return client.request('tasks', 'update', { key: task, data })
      }
      case 7:
        return client.request('tasks', 'create', { data: { projectId: project, title: 5, notes: this.#model.text() } })
      case 8:
        return client.isPaused ? client.resume() : client.pause()
      default:
        return client.comeBack([...this.#tasks, 1_000_000])
    }
  }

  #id(person: Person): number {
    return this.#ids.get(person) ?? 0
  }

  #some(of: ReadonlySet<number>): number {
    return of.size === 0 ? 0 : this.#random.pick([...of])
  }
}

/** The board says in the token who it is of. */
function userOf(token: string): number {
  const payload = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')
  return Number((JSON.parse(payload) as { readonly sub?: string }).sub)
}
