// Runs a root command on a machine that has nothing but Node 20 and npm: installs what is missing, then hands over to
// the Node of node_modules. Everything here is plain JavaScript without dependencies, since nothing is installed yet.
import { checkAll } from './start/check-all.mjs'
import { installNodePackages } from './start/node-packages.mjs'
import { buildPage, runApp } from './start/app.mjs'
import { installDebianPackages } from './start/debian-packages.mjs'
import { runScript } from './start/process.mjs'

const [command, ...flags] = process.argv.slice(2)
const started = performance.now()

try {
  if (command === 'test') {
    await installNodePackages()
    process.exitCode = await checkAll(flags, started)
  } else if (command === 'page') {
    await installNodePackages()
    await buildPage(flags[0])
  } else if (command === 'write-paths') {
    await installNodePackages()
    await installDebianPackages(['mariadbd'])
    process.exitCode = await runScript('test/write-paths/write-page.ts', flags)
  } else if (command) {
    await installNodePackages()
    process.exitCode = await runApp(command, flags)
  } else {
    throw new Error(
      'Say what to start: node scripts/start.mjs test|board|minimal|bench, page <app> to build only its page, or write-paths',
    )
  }
} catch (error) {
  console.error(`\n${error instanceof Error ? error.message : String(error)}`)
  if (command === 'test') console.log('0 passed, 1 failed')
  process.exitCode = 1
}
