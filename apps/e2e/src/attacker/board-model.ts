/** Who is on a connection; `null` is nobody. */
export type Viewer = string | null

type Kind = 'projects' | 'tasks' | 'comments' | 'users'

/** What decides who may see what, as it was once. */
interface State {
  readonly roles: ReadonlyMap<string, 'member' | 'admin'>
  readonly inactive: ReadonlySet<string>
  readonly public: ReadonlySet<number>
  /** `project name` of every membership. */
  readonly members: ReadonlySet<string>
  /** The project of a task, and the task of a comment; of deleted ones the last. */
  readonly projectOf: ReadonlyMap<number, number>
  readonly taskOf: ReadonlyMap<number, number>
}

/** The states between which something was sent. */
export interface Sending {
  readonly since: number
  readonly until: number
}

/** A text that stands nowhere else, where it stood, and the states in which it did. */
interface Canary {
  readonly kind: Kind
  readonly id: number
  readonly field: string
  readonly from: number
  to: number
}

/**
 * Who may see what on the board, written a second time, and for every moment since the beginning. States are numbered:
 * each act of somebody who changes something makes the next one. While it is under way both hold.
 */
export class BoardModel {
  readonly states: State[] = [
    {
      roles: new Map(),
      inactive: new Set(),
      public: new Set(),
      members: new Set(),
      projectOf: new Map(),
      taskOf: new Map(),
    },
  ]
  readonly #canaries = new Map<string, Canary>()
  readonly #name: string
  #made = 0

  /** @param name - tells its texts from those of others, in letters and digits. */
  constructor(name: string) {
    this.#name = name
  }

  /** The number of the last state. */
  get now(): number {
    return this.states.length - 1
  }

  get state(): State {
    const state = this.states.at(-1)
    if (state === undefined) throw new Error('unreachable')
    return state
  }

  /** A new text. Until it is placed nobody may see it. */
  text(): string {
    return `canary-${this.#name}-${++this.#made}-`
  }

  /** Begins the next state: something is about to be changed. */
  change(changed: Partial<State>): void {
    this.states.push({ ...this.state, ...changed })
  }

  /** Says more of the present state, which only the answer to the change has told. */
  amend(known: Partial<State>): void {
    this.states[this.now] = { ...this.state, ...known }
  }

  /** From the present state on a text stands here, and what stood there before does not. */
  place(text: string, kind: Kind, id: number, field: string): void {
    for (const canary of this.#canaries.values())
      if (canary.kind === kind && canary.id === id && canary.field === field && canary.to === Infinity)
        canary.to = this.now - 1
    this.#canaries.set(text, { kind, id, field, from: this.now, to: Infinity })
  }

  /**
   * Whether the viewer may be sent this text, by what held in one of the states from `since` to `until`: the record is
   * theirs to see, and the text was when it stood there. What was read in time may come a little late.
   */
  mayBeSent(viewer: Viewer, text: string, { since, until }: Sending): boolean {
    const canary = this.#canaries.get(text)
    if (canary === undefined) return false
    return this.#may(viewer, canary, canary.from, Math.min(canary.to, until)) && this.#may(viewer, canary, since, until)
  }

  /** What is known of a text, for whoever reads that it came to the wrong one. */
  describe(text: string): string {
    return JSON.stringify(this.#canaries.get(text) ?? 'never stored')
  }

  #may(viewer: Viewer, canary: Canary, from: number, to: number): boolean {
    for (let i = from; i <= to; i++) {
      const state = this.states[i]
      if (state !== undefined && maySee(state, viewer, canary)) return true
    }
    return false
  }
}

function maySee(state: State, viewer: Viewer, { kind, id, field }: Canary): boolean {
  if (viewer !== null && state.inactive.has(viewer)) return false
  if (kind === 'users') return viewer !== null
  if (field === 'notes' && viewer === null) return false
  if (viewer !== null && state.roles.get(viewer) === 'admin') return true
  const task = kind === 'comments' ? state.taskOf.get(id) : id
  const project = kind === 'projects' ? id : state.projectOf.get(task ?? 0)
  return project !== undefined && (state.public.has(project) || state.members.has(`${project} ${viewer}`))
}
