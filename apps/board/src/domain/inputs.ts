/** What clients may write, as zod schemas. They are strict: a field that is not named here is refused. */
import { z } from 'zod'

const text = (most: number) => z.string().max(most).regex(/\S/, 'expected more than white space')
const id = z.int32().positive()
const role = z.enum(['member', 'admin'])

export const newUser = z.strictObject({
  name: text(64),
  password: z.string().min(1).max(256),
  role: role.default('member'),
  active: z.boolean().default(true),
})

export const userPatch = z.strictObject({ name: text(64), role, active: z.boolean() }).exactPartial()

export const newProject = z.strictObject({ name: text(200), public: z.boolean().default(false) })
export const projectPatch = z.strictObject({ name: text(200), public: z.boolean() }).exactPartial()

export const newMembership = z.strictObject({ projectId: id, userId: id })

const taskFields = {
  title: text(200),
  state: z.enum(['open', 'doing', 'done']),
  assigneeId: id.nullable(),
  points: z.int32().nullable(),
  estimate: z
    .string()
    .regex(/^-?\d{1,8}(\.\d{1,2})?$/, 'expected a decimal with at most 8 digits before and 2 after the point')
    .nullable(),
  dueAt: z.iso.datetime({ offset: true }).nullable(),
  notes: z.string().max(10_000).nullable(),
}

export const newTask = z
  .strictObject({ projectId: id, ...taskFields })
  .exactPartial({ state: true, assigneeId: true, points: true, estimate: true, dueAt: true, notes: true })
export const taskPatch = z.strictObject({ projectId: id, ...taskFields }).exactPartial()

export const newComment = z.strictObject({ taskId: id, text: text(2_000) })
export const commentPatch = z.strictObject({ text: text(2_000) }).exactPartial()
