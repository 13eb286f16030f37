import { type Comparison, type Filter, type Store, type WriteResult, matchesFilter } from '@rtapi/core'
import type { BoardStores, NewComment } from './board-database.ts'
import { findAll, where } from './queries.ts'
import type { CommentRow, TaskRow } from './rows.ts'

/** A comment with the project of its task, which decides who may read it. */
export type CommentInProject = CommentRow & { readonly projectId: number }

/** No project has this id. */
const gone = 0

/**
 * The store of comments with a field `projectId`, so that a permission can speak of projects. The table has no such
 * column: the field is looked up in the tasks, and a filter on it becomes a filter on `taskId`.
 *
 * A task that moves to another project between that look-up and a write on its comment is not noticed by the write.
 */
export function commentsInProjects({
  comments,
  tasks,
}: Pick<BoardStores, 'comments' | 'tasks'>): Store<CommentInProject, NewComment, Partial<CommentRow>> {
  async function withProjects(rows: readonly CommentRow[]): Promise<readonly CommentInProject[]> {
    const found = await tasks.read([...new Set(rows.map(({ taskId }) => taskId))])
    const projectOf = new Map(found.map(({ id, projectId }) => [id, projectId]))
    return rows.map((row) => ({ ...row, projectId: projectOf.get(row.taskId) ?? gone }))
  }

  async function written<W extends WriteResult | null>(result: W): Promise<W> {
    if (result === null) return result
    const [row] = await withProjects([result.row as CommentRow])
    return { ...result, row }
  }

  /** The same filter in terms of the table's columns. */
  async function onTable(filter: Filter): Promise<Filter> {
    if (!names(filter, 'projectId')) return filter
    const candidates = await candidatesOf(filter)
    return replace(filter, async (comparison) => {
      const matching = candidates?.filter((task) => matchesFilter(comparison, { projectId: 'integer' }, task))
      return where(
        'taskId',
        'in',
        (matching ?? (await findAll(tasks, comparison))).map(({ id }) => id),
      )
    })
  }

  /** The tasks that can be meant, where the filter names tasks or comments; else `undefined`. */
  async function candidatesOf(filter: Filter): Promise<readonly TaskRow[] | undefined> {
    const taskIds = pinned(filter, 'taskId')
    if (taskIds !== undefined) return tasks.read(taskIds)
    const ids = pinned(filter, 'id')
    return ids === undefined ? undefined : tasks.read((await comments.read(ids)).map(({ taskId }) => taskId))
  }

  return {
    entity: comments.entity,
    describe() {
      const { key, fields } = comments.describe()
      return { key, fields: { ...fields, projectId: { type: 'integer', nullable: false, optional: true } } }
    },
    read: async (keys) => withProjects(await comments.read(keys)),
    find: async (query) => withProjects(await comments.find({ ...query, where: await onTable(query.where) })),
    create: async (comment) => written(await comments.create(comment)),
    async update(key, patch, filter) {
      const pinnedToKey: Filter = { type: 'and', filters: [where('id', 'eq', Number(key)), filter] }
      return written(await comments.update(key, patch, await onTable(pinnedToKey)))
    },
    async delete(key, filter) {
      const pinnedToKey: Filter = { type: 'and', filters: [where('id', 'eq', Number(key)), filter] }
      return written(await comments.delete(key, await onTable(pinnedToKey)))
    },
  }
}

function names(filter: Filter, field: string): boolean {
  if (filter.type === 'const') return false
  return filter.type === 'compare' ? filter.field === field : filter.filters.some((inner) => names(inner, field))
}

/** The filter with each comparison on `projectId` replaced. */
async function replace(filter: Filter, by: (comparison: Comparison) => Promise<Filter>): Promise<Filter> {
  if (filter.type === 'const') return filter
  if (filter.type === 'compare') return filter.field === 'projectId' ? by(filter) : filter
  return { ...filter, filters: await Promise.all(filter.filters.map((inner) => replace(inner, by))) }
}

/** The values to which the filter holds a whole-number field, if it does. */
function pinned(filter: Filter, field: string): readonly number[] | undefined {
  if (filter.type === 'and') {
    for (const inner of filter.filters) {
      const values = pinned(inner, field)
      if (values !== undefined) return values
    }
  }
  if (filter.type !== 'compare' || filter.field !== field) return undefined
  if (filter.operator === 'eq') return [Number(filter.value)]
  return filter.operator === 'in' ? filter.value.map(Number) : undefined
}
