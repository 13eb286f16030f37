import { join } from 'node:path'
import type { DocumentedName } from './documented.ts'

/** The variable that names the folder where runs leave what they have found, instead of comparing it with the page. */
export const FINDINGS_FOLDER = 'RTAPI_PATH_FINDINGS'

/** Where a run leaves what it has found. */
export function findingsFile(folder: string, name: DocumentedName, run: string): string {
  return join(folder, name, `${run}.json`)
}
