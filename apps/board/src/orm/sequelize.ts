/** The board on Sequelize: its models, on the same tables as the entities of MikroORM, and how to connect. */
import type { Report } from '@rtapi/core'
import { rtapiSequelize } from '@rtapi/sequelize'
import {
  type CreationOptional,
  DataTypes,
  type InferAttributes,
  type InferCreationAttributes,
  type Model,
  type ModelAttributeColumnOptions,
  Sequelize,
} from 'sequelize'
import type { BoardDatabase } from '../domain/board-database.ts'
import type { Role, TaskState } from '../domain/rows.ts'
import type { DatabaseAddress } from '../flags.ts'
import type { Seed } from '../seed.ts'
import { persistently } from './persistently.ts'

interface Fields<M extends Model> extends Model<InferAttributes<M>, InferCreationAttributes<M>> {}

interface User extends Fields<User> {
  id: CreationOptional<number>
  name: string
  role: Role
  active: CreationOptional<boolean>
  passwordHash: string
}

interface Project extends Fields<Project> {
  id: CreationOptional<number>
  name: string
  public: CreationOptional<boolean>
  ownerId: number
}

interface Membership extends Fields<Membership> {
  id: CreationOptional<number>
  projectId: number
  userId: number
}

interface Task extends Fields<Task> {
  id: CreationOptional<number>
  projectId: number
  title: string
  state: TaskState
  assigneeId: number | null
  points: number | null
  estimate: string | null
  dueAt: Date | null
  notes: string | null
  version: CreationOptional<number>
  createdAt: CreationOptional<Date>
}

interface Comment extends Fields<Comment> {
  id: CreationOptional<number>
  taskId: number
  authorId: number
  text: string
  createdAt: CreationOptional<Date>
}

interface Setting extends Fields<Setting> {
  name: string
  value: string
}

interface RevokedToken extends Fields<RevokedToken> {
  id: string
  expiresAt: Date
}

const { BOOLEAN, DATE, DECIMAL, ENUM, INTEGER, STRING, TEXT } = DataTypes

function defineModels(sequelize: Sequelize) {
  const isPostgres = sequelize.getDialect() === 'postgres'
  const number = isPostgres ? INTEGER : INTEGER.UNSIGNED
  const id = { type: number, primaryKey: true, autoIncrement: true }
  // As a text with a check PostgreSQL compares it with texts, and a new value is no new type.
  const oneOf = (...values: [string, ...string[]]): ModelAttributeColumnOptions =>
    isPostgres ? { type: TEXT, validate: { isIn: [values] } } : { type: ENUM(...values) }
  const to = (model: string, onDelete: 'CASCADE' | 'SET NULL'): ModelAttributeColumnOptions => ({
    type: number,
    allowNull: onDelete === 'SET NULL',
    references: { model, key: 'id' },
    onDelete,
    onUpdate: 'NO ACTION',
  })
  const now = { type: DATE(3), allowNull: false, defaultValue: DataTypes.NOW }

  return {
    User: sequelize.define<User>(
      'User',
      {
        id,
        name: { type: STRING(64), allowNull: false, unique: 'user_name_unique' },
        role: { ...oneOf('member', 'admin'), allowNull: false, defaultValue: 'member' },
        active: { type: BOOLEAN, allowNull: false, defaultValue: true },
        passwordHash: { type: STRING(200), allowNull: false },
      },
      { tableName: 'user' },
    ),
    Project: sequelize.define<Project>(
      'Project',
      {
        id,
        name: { type: STRING(200), allowNull: false },
        public: { type: BOOLEAN, allowNull: false, defaultValue: false },
        ownerId: to('user', 'CASCADE'),
      },
      { tableName: 'project' },
    ),
    Membership: sequelize.define<Membership>(
      'Membership',
      {
        id,
        projectId: { ...to('project', 'CASCADE'), unique: 'membership_project_id_user_id_unique' },
        userId: { ...to('user', 'CASCADE'), unique: 'membership_project_id_user_id_unique' },
      },
      { tableName: 'membership' },
    ),
    Task: sequelize.define<Task>(
      'Task',
      {
        id,
        projectId: to('project', 'CASCADE'),
        title: { type: STRING(200), allowNull: false },
        state: { ...oneOf('open', 'doing', 'done'), allowNull: false, defaultValue: 'open' },
        assigneeId: to('user', 'SET NULL'),
        points: INTEGER,
        estimate: DECIMAL(10, 2),
        dueAt: DATE(3),
        notes: TEXT,
        version: { type: INTEGER, allowNull: false, defaultValue: 1 },
        createdAt: now,
      },
      { tableName: 'task', version: 'version' },
    ),
    Comment: sequelize.define<Comment>(
      'Comment',
      {
        id,
        taskId: to('task', 'CASCADE'),
        authorId: to('user', 'CASCADE'),
        text: { type: STRING(2_000), allowNull: false },
        createdAt: now,
      },
      { tableName: 'comment' },
    ),
    Setting: sequelize.define<Setting>(
      'Setting',
      {
        name: { type: STRING(64), primaryKey: true },
        value: { type: STRING(200), allowNull: false },
      },
      { tableName: 'setting' },
    ),
    RevokedToken: sequelize.define<RevokedToken>(
      'RevokedToken',
      {
        id: { type: STRING(64), primaryKey: true },
        expiresAt: { type: DATE(3), allowNull: false },
      },
      { tableName: 'revoked_token', indexes: [{ name: 'revoked_token_expires_at_index', fields: ['expires_at'] }] },
    ),
  }
}

type Models = ReturnType<typeof defineModels>

/** Connects, creates what is missing of the schema, and offers the stores. */
export async function openSequelize(address: DatabaseAddress, report: Report): Promise<BoardDatabase> {
  const sequelize = connect(address)
  const models = defineModels(sequelize)
  const rtapi = rtapiSequelize(sequelize, { report })
  await persistently(() => createDatabase(address))
  await persistently(() => sequelize.sync())
  return {
    stores: {
      users: rtapi.store(models.User),
      projects: rtapi.store(models.Project),
      memberships: rtapi.store(models.Membership),
      tasks: rtapi.store(models.Task),
      comments: rtapi.store(models.Comment),
      settings: rtapi.store(models.Setting),
      revokedTokens: rtapi.store(models.RevokedToken),
    },
    changes: rtapi.changes(),
    plant: (seed) => persistently(() => plant(sequelize, models, seed)),
    async close() {
      rtapi.stop()
      await sequelize.close()
    },
  }
}

function connect(address: DatabaseAddress, database?: string): Sequelize {
  const url = new URL(address.url)
  if (database !== undefined) url.pathname = `/${database}`
  const common = {
    logging: false,
    define: { underscored: true, timestamps: false, freezeTableName: true },
  } as const
  if (address.kind === 'postgres') return new Sequelize(url.href, { ...common, dialect: 'postgres' })
  // The driver for MariaDB speaks with MySQL as well.
  url.protocol = 'mariadb:'
  return new Sequelize(url.href, { ...common, dialect: 'mariadb', timezone: '+00:00' })
}

/** Creates the database if there is none. */
async function createDatabase(address: DatabaseAddress): Promise<void> {
  const name = decodeURIComponent(new URL(address.url).pathname.slice(1))
  const isPostgres = address.kind === 'postgres'
  const server = connect(address, isPostgres ? 'postgres' : '')
  const quoted = server.getQueryInterface().quoteIdentifier(name)
  try {
    if (!isPostgres) {
      await server.query(`create database if not exists ${quoted} character set utf8mb4 collate utf8mb4_bin`)
      return
    }
    const found = await server.query('select 1 from pg_database where datname = ?', { replacements: [name] })
    if (found[0].length === 0) await server.query(`create database ${quoted}`)
  } finally {
    await server.close()
  }
}

async function plant(sequelize: Sequelize, models: Models, seed: Seed): Promise<void> {
  await sequelize.transaction(async (transaction) => {
    const { User, Project, Membership, Task, Comment } = models
    if ((await User.count({ transaction })) > 0) return
    const rows = await User.bulkCreate(seed.users, { transaction })
    const ids = new Map(rows.map(({ name, id }) => [name, id]))
    const idOf = (name: string): number => {
      const id = ids.get(name)
      if (id === undefined) throw new Error(`the seed has no user '${name}'`)
      return id
    }
    for (const { owner, members, tasks, ...data } of seed.projects) {
      const project = await Project.create({ ...data, ownerId: idOf(owner) }, { transaction })
      const of = { projectId: project.id }
      await Membership.bulkCreate(
        members.map((name) => ({ ...of, userId: idOf(name) })),
        { transaction },
      )
      for (const { assignee, comments = [], dueAt, ...fields } of tasks) {
        const task = await Task.create(
          {
            ...of,
            ...fields,
            assigneeId: assignee === undefined ? null : idOf(assignee),
            dueAt: dueAt === undefined ? null : new Date(dueAt),
          },
          { transaction },
        )
        const texts = comments.map(({ author, text }) => ({ taskId: task.id, authorId: idOf(author), text }))
        await Comment.bulkCreate(texts, { transaction })
      }
    }
  })
}
