import type { Key } from '@rtapi/core/protocol'
import { expect } from 'vitest'
import { create, remove, update } from './stage.ts'
import type { AnyClient } from './transports.ts'
import type { WireClient } from './wire-client.ts'

/** A view whose client goes and comes back. */
export interface InterruptedView {
  /** While the client is away, a record of each kind of fate: changed, deleted, added, and left alone. */
  meanwhile(): Promise<void>
  /** Comes back by another client, and checks that the view goes on from its position and has become right. */
  resume(after: WireClient): Promise<void>
}

/** @param writer - writes what is viewed; never interrupted. @param before - has the view until it goes. */
export async function interruptibleView(writer: AnyClient, before: WireClient): Promise<InterruptedView> {
  const projectId = await create(writer, 'projects', { name: 'resumed', public: true })
  const task = (title: string): Promise<number> => create(writer, 'tasks', { projectId, title })
  const [changed, deleted, kept] = [await task('changed'), await task('deleted'), await task('kept')]
  const query = { where: { projectId } }
  const view = await before.subscribe('tasks', query)
  expect(view.keys).toEqual([changed, deleted, kept])
  let added = 0

  return {
    async meanwhile() {
      await update(writer, 'tasks', changed, { title: 'changed meanwhile' })
      await remove(writer, 'tasks', deleted)
      added = await task('added')
    },

    async resume(after) {
      const resumed = await after.resume(view, 'tasks', query)
      await resumed.until(() => !resumed.rows.has(deleted))
      expect(resumed.resets).toEqual([])
      expect(resumed.keys.sort(ascending)).toEqual([changed, kept, added])
      expect(resumed.rows.get(changed)).toMatchObject({ title: 'changed meanwhile' })
      const sent = after.messages.flatMap((message) => (message.type === 'snapshot' ? message.rows : []))
      expect(sent.map(({ key }) => key).sort(ascending), 'only what was missed is sent').toEqual([changed, added])

      const later = await task('later')
      await resumed.until(() => resumed.rows.has(later))
    },
  }
}

function ascending(a: Key, b: Key): number {
  return Number(a) - Number(b)
}
