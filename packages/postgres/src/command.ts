import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { DatabaseLink } from './database-link.ts'
import { describeError } from './error-line.ts'
import { readConfig } from './read-config.ts'
import { type SetupConfig, type SetupMode, replicationMode, triggerMode } from './setup-mode.ts'

/** What a run of the command has of its surroundings. */
export interface CommandIo {
  readonly cwd: string
  out(text: string): void
  error(text: string): void
}

const USAGE = `usage: rtapi-postgres <command> [config] [options]

commands
  install    installs what the source reads from, or brings it up to date; doing it twice changes nothing
  uninstall  removes everything again
  print      writes the SQL of install (with --uninstall: of uninstall), for your own migrations; needs no database
  status     says what is installed and what waits; the exit code is 1 if something is missing

config
  a JavaScript, TypeScript or JSON file whose default export is { tables: [...] }, with the options of the source
  default: rtapi-postgres.config.js

options
  --mode triggers|replication
                       how changes are heard of: by triggers that fill an outbox (the default), or from the log
  --connection <url>   the database; otherwise PGHOST, PGUSER, PGPASSWORD, PGDATABASE … say which
  --help
`

const modes: Readonly<Record<string, SetupMode>> = {
  [triggerMode.name]: triggerMode,
  [replicationMode.name]: replicationMode,
}

/** Somebody called the command in a way that it does not know. */
class UsageError extends Error {}

/**
 * Runs `rtapi-postgres`.
 * @returns the exit code: 0 if all is well, 1 if something failed or is missing, 2 if the arguments make no sense.
 */
export async function runCommand(args: readonly string[], io: CommandIo): Promise<number> {
  try {
    return await run(args, io)
  } catch (error) {
    if (error instanceof UsageError) {
      io.error(`rtapi-postgres: ${error.message}\n\n${USAGE}`)
      return 2
    }
    io.error(`rtapi-postgres: ${describeError(error)}\n`)
    return 1
  }
}

async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const { command, file, options } = readArguments(args)
  if (options.help === true || command === undefined) {
    io.out(USAGE)
    return options.help === true ? 0 : 2
  }
  const mode = modes[options.mode ?? triggerMode.name]
  if (mode === undefined) throw new UsageError(`there is no mode '${options.mode}'`)
  const config = await readConfig(resolve(io.cwd, file ?? 'rtapi-postgres.config.js'))
  if (command === 'print') {
    io.out(`${options.uninstall === true ? mode.removalSql(config) : mode.sql(config)}\n`)
    return 0
  }
  const link = await DatabaseLink.open(options.connection ?? {})
  try {
    return await execute(command, { mode, config, link, io })
  } finally {
    await link.close()
  }
}

async function execute(
  command: string,
  {
    mode,
    config,
    link: { client },
    io,
  }: { readonly mode: SetupMode; readonly config: SetupConfig; readonly link: DatabaseLink; readonly io: CommandIo },
): Promise<number> {
  if (command === 'uninstall') {
    await mode.remove(client, config)
    io.out('uninstalled\n')
    return 0
  }
  if (command === 'install') await mode.install(client, config)
  const { lines, ok } = await mode.status(client, config)
  io.out(`${lines.join('\n')}\n`)
  return ok ? 0 : 1
}

const commands = ['install', 'uninstall', 'print', 'status']

function readArguments(args: readonly string[]) {
  try {
    const { values: options, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        mode: { type: 'string' },
        connection: { type: 'string' },
        uninstall: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    })
    const [command, file, ...others] = positionals
    if (command !== undefined && !commands.includes(command)) throw new UsageError(`there is no command '${command}'`)
    if (others.length > 0) throw new UsageError(`'${others.join(' ')}' is one argument too many`)
    return { command, file, options }
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(describeError(error))
  }
}
