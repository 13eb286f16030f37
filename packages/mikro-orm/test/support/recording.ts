import { type RecordedChanges, recordChanges } from '@rtapi/testing'
import { type RtapiMikroOrm, type RtapiMikroOrmOptions, rtapiMikroOrm } from '../../src/index.ts'
import { type DatabaseName, type TestDatabase, type TestOptions, openDatabase } from './databases.ts'

/** A database whose changes are watched. */
export interface Watched extends TestDatabase, RecordedChanges {
  readonly live: RtapiMikroOrm
  /** What went to `report`. */
  readonly reports: { readonly error: unknown; readonly during: string }[]
}

export async function watch(
  database: DatabaseName,
  options: { readonly orm?: TestOptions; readonly rtapi?: RtapiMikroOrmOptions } = {},
): Promise<Watched> {
  const opened = await openDatabase(database, options.orm)
  const reports: { error: unknown; during: string }[] = []
  const live = rtapiMikroOrm(opened.orm, {
    report: (error, { during }) => void reports.push({ error, during }),
    ...options.rtapi,
  })
  await live.outbox?.install()
  return { ...opened, live, reports, ...(await recordChanges(live.changes())) }
}
