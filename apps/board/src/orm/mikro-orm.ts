/** The board on MikroORM: its entities, and how to connect to each database. */
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { MikroORM, NodeSqliteDialect, type Options, SqliteDriver, defineEntity, p } from '@mikro-orm/sql'
import type { Report } from '@rtapi/core'
import { rtapiMikroOrm } from '@rtapi/mikro-orm'
import type { BoardDatabase } from '../domain/board-database.ts'
import type { DatabaseAddress } from '../flags.ts'
import type { Seed } from '../seed.ts'
import { persistently } from './persistently.ts'

const id = () => p.integer().primary().autoincrement()

const User = defineEntity({
  name: 'User',
  tableName: 'user',
  properties: {
    id: id(),
    name: p.string().length(64).unique(),
    role: p.enum(['member', 'admin'] as const).default('member'),
    active: p.boolean().default(true),
    passwordHash: p.string().length(200),
  },
})

const Project = defineEntity({
  name: 'Project',
  tableName: 'project',
  properties: {
    id: id(),
    name: p.string().length(200),
    public: p.boolean().default(false),
    owner: () => p.manyToOne(User).deleteRule('cascade'),
  },
})

const Membership = defineEntity({
  name: 'Membership',
  tableName: 'membership',
  properties: {
    id: id(),
    project: () => p.manyToOne(Project).deleteRule('cascade'),
    user: () => p.manyToOne(User).deleteRule('cascade'),
  },
  uniques: [{ properties: ['project', 'user'] }],
})

const Task = defineEntity({
  name: 'Task',
  tableName: 'task',
  properties: {
    id: id(),
    project: () => p.manyToOne(Project).deleteRule('cascade'),
    title: p.string().length(200),
    state: p.enum(['open', 'doing', 'done'] as const).default('open'),
    assignee: () => p.manyToOne(User).nullable().deleteRule('set null'),
    points: p.integer().nullable(),
    estimate: p.decimal().precision(10).scale(2).nullable(),
    dueAt: p.datetime(3).nullable(),
    notes: p.text().nullable(),
    version: p.integer().version(),
    createdAt: p.datetime(3).onCreate(() => new Date()),
  },
})

const Comment = defineEntity({
  name: 'Comment',
  tableName: 'comment',
  properties: {
    id: id(),
    task: () => p.manyToOne(Task).deleteRule('cascade'),
    author: () => p.manyToOne(User).deleteRule('cascade'),
    text: p.string().length(2_000),
    createdAt: p.datetime(3).onCreate(() => new Date()),
  },
})

const Setting = defineEntity({
  name: 'Setting',
  tableName: 'setting',
  properties: { name: p.string().length(64).primary(), value: p.string().length(200) },
})

const RevokedToken = defineEntity({
  name: 'RevokedToken',
  tableName: 'revoked_token',
  properties: { id: p.string().length(64).primary(), expiresAt: p.datetime(3).index() },
})

const entities = [User, Project, Membership, Task, Comment, Setting, RevokedToken]

/** Connects, creates what is missing of the schema, and offers the stores. */
export async function openMikroOrm(address: DatabaseAddress, report: Report): Promise<BoardDatabase> {
  if (address.kind === 'sqlite' && address.file !== ':memory:') {
    await mkdir(dirname(address.file), { recursive: true })
  }
  const orm = await persistently(async () => connect({ ...(await connection(address)), entities }))
  const rtapi = rtapiMikroOrm(orm, { report })
  if (address.kind === 'sqlite') await shareFile(orm)
  await persistently(() => orm.schema.update({ safe: true }))
  return {
    stores: {
      users: rtapi.store(User),
      projects: rtapi.store(Project),
      memberships: rtapi.store(Membership),
      tasks: rtapi.store(Task),
      comments: rtapi.store(Comment),
      settings: rtapi.store(Setting),
      revokedTokens: rtapi.store(RevokedToken),
    },
    changes: rtapi.changes(),
    plant: (seed) => persistently(() => plant(orm, seed)),
    async close() {
      rtapi.stop()
      await orm.close()
    },
  }
}

/** Only the driver that is needed is loaded. */
async function connection(address: DatabaseAddress): Promise<Options> {
  if (address.kind === 'sqlite') {
    return { driver: SqliteDriver, dbName: address.file, driverOptions: new NodeSqliteDialect(address.file) }
  }
  const clientUrl = address.url
  if (address.kind === 'postgres') {
    const { PostgreSqlDriver } = await import('@mikro-orm/postgresql')
    return { driver: PostgreSqlDriver, clientUrl }
  }
  const driver =
    address.kind === 'mariadb'
      ? (await import('@mikro-orm/mariadb')).MariaDbDriver
      : (await import('@mikro-orm/mysql')).MySqlDriver
  return { driver, clientUrl, charset: 'utf8mb4', collate: 'utf8mb4_bin' }
}

/** Connects, and creates the database if there is none. */
async function connect(options: Options): Promise<MikroORM> {
  const orm = await MikroORM.init(options)
  try {
    await orm.schema.ensureDatabase()
    return orm
  } catch (error) {
    // It may be connected to the database from which others are created, and must not be used.
    await orm.close()
    throw error
  }
}

/** Lets other processes use the file at the same time: they wait for one another's writes. */
async function shareFile(orm: MikroORM): Promise<void> {
  for (const pragma of ['busy_timeout = 5000', 'journal_mode = wal', 'synchronous = normal']) {
    await orm.em.getConnection().execute(`pragma ${pragma}`)
  }
}

async function plant(orm: MikroORM, seed: Seed): Promise<void> {
  const em = orm.em.fork()
  if ((await em.count(User)) > 0) return
  const users = new Map(seed.users.map((user) => [user.name, em.create(User, { ...user, active: true })]))
  const user = (name: string) => {
    const found = users.get(name)
    if (found === undefined) throw new Error(`the seed has no user '${name}'`)
    return found
  }
  for (const { owner, members, tasks, ...data } of seed.projects) {
    const project = em.create(Project, { ...data, owner: user(owner) })
    for (const member of members) em.create(Membership, { project, user: user(member) })
    for (const { assignee, comments = [], ...data } of tasks) {
      const task = em.create(Task, { ...data, project, assignee: assignee === undefined ? null : user(assignee) })
      for (const { author, text } of comments) em.create(Comment, { task, author: user(author), text })
    }
  }
  await em.flush()
}
