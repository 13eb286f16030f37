import { type RecordedChanges, recordChanges } from '@rtapi/testing'
import { type RtapiSequelize, type RtapiSequelizeOptions, rtapiSequelize } from '../../src/index.ts'
import { type DatabaseName, type TestDatabase, type TestOptions, openDatabase } from './databases.ts'

/** A database whose changes are watched. */
export interface Watched extends TestDatabase, RecordedChanges {
  readonly live: RtapiSequelize
  /** What went to `report`. */
  readonly reports: { readonly error: unknown; readonly during: string }[]
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
  await live.outbox?.install()
  return { ...opened, live, reports, ...(await recordChanges(live.changes())) }
}
