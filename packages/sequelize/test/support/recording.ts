import type { Change, ChangeBatch } from '@rtapi/core'
import { type RtapiSequelize, type RtapiSequelizeOptions, rtapiSequelize } from '../../src/index.ts'
import { type DatabaseName, type TestDatabase, type TestOptions, openDatabase } from './databases.ts'

/** A database whose changes are watched. */
export interface Watched extends TestDatabase {
  readonly live: RtapiSequelize
  readonly batches: ChangeBatch[]
  /** What went to `report`. */
  readonly reports: { readonly error: unknown; readonly during: string }[]
  /** What has been announced since the last look, such as `create Thing 1`, or `coarse Thing`. */
  announced(): readonly string[]
  /** The change of this record, of those announced since the last look; leaves them. */
  change(entity: string, key: unknown): Change | undefined
}

export async function watch(
  database: DatabaseName,
  options: { readonly sequelize?: TestOptions; readonly rtapi?: RtapiSequelizeOptions } = {},
): Promise<Watched> {
  const opened = await openDatabase(database, options.sequelize)
  const reports: { error: unknown; during: string }[] = []
  const live = rtapiSequelize(opened.sequelize, {
    report: (error, { during }) => void reports.push({ error, during }),
    ...options.rtapi,
  })
  const batches: ChangeBatch[] = []
  await live.changes().start((batch) => void batches.push(batch))
  return {
    ...opened,
    live,
    batches,
    reports,
    announced() {
      const changes = batches.splice(0).flatMap((batch) => batch.changes)
      return changes.map((change) =>
        change.type === 'coarse'
          ? `coarse ${change.entity}`
          : `${change.action} ${change.entity} ${JSON.stringify(change.key)}`,
      )
    },
    change(entity, key) {
      const changes = batches.flatMap((batch) => batch.changes)
      return changes.find(
        (change) =>
          change.type === 'change' && change.entity === entity && JSON.stringify(change.key) === JSON.stringify(key),
      ) as Change | undefined
    },
  }
}
