// Fails when package-lock.json lacks an optional dependency that one of its packages names: `npm ci` would refuse it.
// Also fails when the file names a registry host, which would tie every clone to it.
import { readFileSync } from 'node:fs'

const { packages } = JSON.parse(readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8'))

/** Looks a dependency up the way Node does: in the package's own node_modules, then in those of the folders above. */
function isLocked(path, name) {
  const folders = path.split('/')
  for (let length = folders.length; length >= 0; length--) {
    if ([...folders.slice(0, length), 'node_modules', name].filter(Boolean).join('/') in packages) return true
  }
  return false
}

const problems = []
for (const [path, entry] of Object.entries(packages)) {
  for (const name of Object.keys(entry.optionalDependencies ?? {})) {
    if (!isLocked(path, name)) problems.push(`${path || 'root'}: optional dependency ${name} has no entry`)
  }
  if (entry.resolved?.startsWith('http')) problems.push(`${path}: names a registry host`)
}

if (problems.length > 0) {
  console.error(`package-lock.json:\n  ${problems.join('\n  ')}`)
  process.exit(1)
}
