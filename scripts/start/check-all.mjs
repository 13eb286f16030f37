// `npm test`: every check of the project, one after the other, whether or not an earlier one failed.
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { installDebianPackages } from './debian-packages.mjs'
import { npmCommand, root, run } from './process.mjs'

/** Exit codes after SIGHUP, SIGINT and SIGTERM. */
const interrupted = [129, 130, 143]

const report = join(root, '.rtapi', 'vitest.json')

/**
 * Runs the checks, then the tests with the given vitest flags. The last line it prints is `N passed, N failed`: tests as
 * vitest counts them, and every other check that fails as one more failure. Resolves with the exit code.
 */
export async function checkAll(flags, started) {
  await installDebianPackages()
  const npm = (script) => [...npmCommand(), 'run', script]
  const times = [`install ${seconds(started)}`]
  const failedChecks = []
  const check = async (name, command) => {
    console.log(`\n── ${name}`)
    const start = performance.now()
    const code = await run(command)
    if (interrupted.includes(code)) throw new Error(`Interrupted during: ${name}`)
    const ok = code === 0
    times.push(`${name} ${seconds(start)}`)
    if (!ok) failedChecks.push(name)
    return ok
  }

  await check('lock file', npm('check:lock'))
  await check('types', npm('typecheck'))
  await check('lint', npm('lint'))
  await check('format', npm('format:check'))
  await check('knip', npm('knip'))
  await check('build', npm('build'))
  await check('packages', npm('check:packages'))

  rmSync(report, { force: true })
  mkdirSync(join(root, '.rtapi'), { recursive: true })
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  const testsPassed = await check('tests', ['vitest', 'run', ...reporters, ...flags])
  const { numPassedTests: passed, numFailedTests: failedTests, numPendingTests: skipped } = readReport()
  // A test run can fail without a failed test: an unhandled error, a file that does not load, no test at all.
  if (!testsPassed && failedTests > 0) failedChecks.splice(failedChecks.indexOf('tests'), 1)

  const failed = failedTests + failedChecks.length
  console.log()
  if (failedChecks.length > 0) console.log(`failed checks: ${failedChecks.join(', ')}`)
  if (skipped > 0) console.log(`skipped tests: ${skipped}`)
  console.log(`total time ${seconds(started)} (${times.join(', ')})`)
  console.log(`${passed} passed, ${failed} failed`)
  return failed === 0 ? 0 : 1
}

function readReport() {
  try {
    return JSON.parse(readFileSync(report, 'utf8'))
  } catch {
    return { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0 }
  }
}

function seconds(since) {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`
}
