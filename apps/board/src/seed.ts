import type { Role, TaskState } from './domain/rows.ts'

/** What a new database begins with. Users are referred to by name. */
export interface Seed {
  readonly users: readonly { readonly name: string; readonly role: Role; readonly passwordHash: string }[]
  readonly projects: readonly SeedProject[]
}

interface SeedProject {
  readonly name: string
  readonly public: boolean
  readonly owner: string
  readonly members: readonly string[]
  readonly tasks: readonly SeedTask[]
}

interface SeedTask {
  readonly title: string
  readonly state: TaskState
  readonly assignee?: string
  readonly points?: number
  readonly estimate?: string
  readonly dueAt?: string
  readonly notes?: string
  readonly comments?: readonly { readonly author: string; readonly text: string }[]
}

/** The users of both seeds. @param passwordHash - of the password that all of them have. */
export function seedOf(kind: 'demo' | 'empty', passwordHash: string): Seed {
  const member = (name: string): Seed['users'][number] => ({ name, role: 'member', passwordHash })
  return {
    users: [member('alice'), member('bob'), member('carol'), { name: 'root', role: 'admin', passwordHash }],
    projects: kind === 'demo' ? demoProjects : [],
  }
}

const demoProjects: readonly SeedProject[] = [
  {
    name: 'Garden day',
    public: true,
    owner: 'alice',
    members: ['bob'],
    tasks: [
      {
        title: 'Borrow a wheelbarrow',
        state: 'done',
        assignee: 'bob',
        points: 1,
        comments: [
          { author: 'bob', text: 'The neighbours lend us theirs.' },
          { author: 'alice', text: 'Lovely, thank them from me!' },
        ],
      },
      {
        title: 'Draw the plan of the beds',
        state: 'doing',
        assignee: 'alice',
        points: 3,
        estimate: '2.50',
        notes: 'Tomatoes want the southern wall.',
        comments: [{ author: 'bob', text: 'Leave a path wide enough for the wheelbarrow.' }],
      },
      { title: 'Order seedlings', state: 'doing', points: 2, estimate: '48.90', dueAt: '2027-03-20T12:00:00.000Z' },
      { title: 'Invite everybody', state: 'open', assignee: 'alice', points: 1 },
      { title: 'Repair the water barrel', state: 'open', assignee: 'bob', points: 5 },
      { title: 'Cake for twenty', state: 'open' },
    ],
  },
  {
    name: 'A present for Alice',
    public: false,
    owner: 'bob',
    members: [],
    tasks: [
      {
        title: 'Find out what she likes',
        state: 'doing',
        assignee: 'bob',
        notes: 'She must not see this project.',
        comments: [{ author: 'bob', text: 'Something for the garden, I think.' }],
      },
      { title: 'Collect money', state: 'open', points: 2, estimate: '60.00' },
    ],
  },
]
