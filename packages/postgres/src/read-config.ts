import { readFile } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { describeError } from './error-line.ts'
import { capturesOf } from './live-table.ts'
import type { SetupConfig } from './setup-mode.ts'

/**
 * Reads a configuration: the default export of a module, or a JSON file.
 * @throws Error that names the file and says what is wrong with it.
 */
export async function readConfig(path: string): Promise<SetupConfig> {
  const config = await load(path)
  if (!isConfig(config)) {
    throw new Error(`the configuration ${path} has no default export { tables: [{ table, entity, key }] }`)
  }
  capturesOf(config.tables)
  return config
}

async function load(path: string): Promise<unknown> {
  try {
    if (path.endsWith('.json')) return JSON.parse(await readFile(path, 'utf8')) as unknown
    // The module is the user's own, named on the command line.
    const loaded: unknown = await import(pathToFileURL(path).href)
    return typeof loaded === 'object' && loaded !== null && 'default' in loaded ? loaded.default : undefined
  } catch (error) {
    throw new Error(`the configuration ${path} cannot be loaded: ${describeError(error)}`, { cause: error })
  }
}

/** As far as it can be seen from outside; what is inside is checked where it is used. */
function isConfig(value: unknown): value is SetupConfig {
  if (typeof value !== 'object' || value === null || !('tables' in value) || !Array.isArray(value.tables)) return false
  return value.tables.every(
    (table: unknown) =>
      typeof table === 'object' &&
      table !== null &&
      'table' in table &&
      typeof table.table === 'string' &&
      'entity' in table &&
      typeof table.entity === 'string' &&
      'key' in table &&
      Array.isArray(table.key),
  )
}
