// Programs that the tests need and that no npm package carries: a browser, curl, and database servers.
import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { exclusively } from './exclusive.mjs'
import { run, runOrThrow } from './process.mjs'

/** Each program the tests start, the Debian package that brings it, and a variable that may name another file. */
const needed = [
  { program: 'chromium', debian: 'chromium', variable: 'CHROMIUM' },
  { program: 'curl', debian: 'curl' },
  { program: 'mariadbd', debian: 'mariadb-server' },
  { program: 'psql', debian: 'postgresql-client' },
  { program: 'redis-server', debian: 'redis-server' },
]

/**
 * Installs the Debian packages whose programs are missing, of all that the tests need or of some. Throws with a way out
 * when it cannot. Starts no service.
 */
export async function installDebianPackages(programs = needed.map(({ program }) => program)) {
  const missing = needed.filter((entry) => programs.includes(entry.program) && !isPresent(entry))
  if (missing.length === 0) return
  const names = missing.map((entry) => entry.debian)
  const wayOut =
    `This needs ${missing.map((entry) => entry.program).join(' and ')}. ` +
    `Install: apt-get install ${names.join(' ')} (as root, on Debian or Ubuntu; elsewhere whatever brings these programs).`
  if (!find('apt-get')) throw new Error(`${wayOut}\napt-get was not found.`)
  const asRoot = process.getuid?.() === 0 ? [] : ['sudo', '-n']
  if (asRoot.length > 0 && (!find('sudo') || (await run([...asRoot, 'true'], { stdout: 'stderr' })) !== 0)) {
    throw new Error(`${wayOut}\nThis process is not root, and sudo asks for a password or is missing.`)
  }
  await exclusively(async () => {
    console.error(`installing Debian packages: ${names.join(' ')} …`)
    const apt = [...asRoot, 'sh', '-c', script, 'sh', ...names]
    await runOrThrow(apt, `${wayOut}\nInstalling them`, { stdout: 'stderr' })
  })
  const still = missing.filter((entry) => !isPresent(entry))
  if (still.length > 0) throw new Error(`${wayOut}\nStill missing: ${still.map((entry) => entry.program).join(', ')}`)
}

// policy-rc.d is how Debian lets one install a server without starting it; a machine's own policy is left as it is.
const script = `
set -e
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap 'rm -f $policy' EXIT
  printf '#!/bin/sh\\nexit 101\\n' > $policy
  chmod +x $policy
fi
apt-get -qq update || true # stale lists may still do
apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 install "$@"
`

function isPresent({ program, variable }) {
  const named = variable && process.env[variable]
  return named ? existsSync(named) : find(program)
}

/** Debian keeps servers in the sbin folders, which are not in everybody's PATH. */
function find(program) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
