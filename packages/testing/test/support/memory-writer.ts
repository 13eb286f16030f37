import type { MemoryAccess } from '@rtapi/core'
import { type ChangeSourceFactory, type PathName, type Thing, type ThingWriter, pathNames, thing } from '@rtapi/testing'

/** Writes things to a memory store, as a user of it does. */
export function memoryWriter(access: MemoryAccess<Thing>): ThingWriter {
  return {
    create: async (data) => access.create(data),
    update: async (id, patch) => access.update(id, patch),
    remove: async (id) => access.delete(id),
    transaction: (work) => access.transaction((inner) => work(memoryWriter(inner))),
  }
}

/** Takes a unique value twice, which a memory store finds at the commit. */
export function failingCommit(writer: ThingWriter): Promise<unknown> {
  return writer.transaction(async (inner) => {
    await inner.update(1, { code: 'taken' })
    await inner.create(thing({ id: 4, code: 'taken' }))
  })
}

const absent = { absent: 'a memory store writes each record by itself' }

export const noPaths: ChangeSourceFactory['paths'] = Object.fromEntries(
  pathNames.map((name) => [name, absent]),
) as Record<PathName, typeof absent>
