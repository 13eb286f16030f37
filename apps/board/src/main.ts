// Starts the board: `npm run board -- --port 4000`. Standard output carries one line of JSON, everything else goes to
// standard error.
import { ServerError } from '../../private-servers/private-server.ts'
import { runCluster } from './cluster.ts'
import { FlagError, parseFlags, usage } from './flags.ts'
import { runNode } from './node.ts'

try {
  const flags = parseFlags(process.argv.slice(2))
  await (flags.nodes === 1 ? runNode(flags) : runCluster(flags))
} catch (error) {
  if (error instanceof FlagError) console.error(`${error.message}\n\n${usage}`)
  else console.error(error instanceof ServerError ? error.message : error)
  process.exit(error instanceof FlagError ? 2 : 1)
}
