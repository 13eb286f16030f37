import { basename, join, relative } from 'node:path'
import { expect, test } from 'vitest'
import { importsOf, readJson, readWorkspaces, resolveRelative, root, sourceFiles } from './workspace.ts'
import type { Import, Manifest, Workspace } from './workspace.ts'

const packages = readWorkspaces('packages')
const manifests = new Map(packages.map(({ manifest }) => [manifest.name, manifest]))

/** What a package may import beside its own files: true if `found` is allowed to it. A package not named is an adapter. */
const rules: Record<string, (found: Import) => boolean> = {
  '@rtapi/core': () => false,
  '@rtapi/testing': ({ specifier }) => packageOf(specifier) === '@rtapi/core',
  '@rtapi/client': ({ specifier, typeOnly }) =>
    specifier === '@rtapi/core/protocol' || (specifier === '@rtapi/core' && typeOnly),
  '@rtapi/sql': ({ specifier }) => packageOf(specifier) === '@rtapi/core',
  '@rtapi/mikro-orm': sqlAdapterRule,
  '@rtapi/sequelize': sqlAdapterRule,
  '@rtapi/postgres': sqlAdapterRule,
}

/** Commands that load a configuration which the user names. */
const loadsModulesOfUsers: ReadonlySet<string> = new Set(['packages/postgres/src/read-config.ts'])

/** Adapters of libraries for SQL databases also import what is the same for all of them. */
function sqlAdapterRule(found: Import): boolean {
  return adapterRule(found) || packageOf(found.specifier) === '@rtapi/sql'
}

function adapterRule({ specifier }: Import): boolean {
  return packageOf(specifier) === '@rtapi/core' || !specifier.startsWith('@rtapi')
}

test.each(packages.map(({ manifest, folder }) => ({ name: manifest.name, manifest, folder })))(
  'the imports of $name keep the rules and its manifest',
  (workspace) => {
    const imports = sourceFiles(join(workspace.folder, 'src')).flatMap(importsOf)
    expect(imports.map((found) => breach(found, workspace)).filter((message) => message !== undefined)).toEqual([])
  },
)

test('within core, each file imports only files of lower levels', () => {
  const folder = join(root, 'packages', 'core')
  const levels = readJson(join(folder, 'levels.json')) as string[][]
  const levelOf = new Map(levels.flatMap((files, level) => files.map((file) => [file, level])))
  const files = sourceFiles(join(folder, 'src'))
  const names = files.map((file) => relative(join(folder, 'src'), file))

  expect(levels.flat().toSorted(), 'levels.json names every file of core/src once, and no other').toEqual(names)

  const imports = files.flatMap(importsOf).filter(({ specifier }) => specifier.startsWith('.'))
  const breaches = imports.flatMap((found) => {
    const from = levelOf.get(relative('packages/core/src', found.file)) ?? 0
    const to = levelOf.get(relative(join(folder, 'src'), resolveRelative(found))) ?? 0
    return to < from ? [] : [`${place(found)}: level ${from} imports ${basename(found.specifier)} of level ${to}`]
  })
  expect(breaches).toEqual([])
})

/** Says what is wrong with an import, if anything is. */
function breach(found: Import, { folder, manifest }: Pick<Workspace, 'folder' | 'manifest'>): string | undefined {
  const { specifier, file } = found
  if (specifier.startsWith('.')) {
    const target = relative(join(folder, 'src'), resolveRelative(found))
    return target.startsWith('..') ? `${place(found)}: ${specifier} leaves the package` : undefined
  }
  const allowed = rules[manifest.name] ?? adapterRule
  if (!allowed(found)) return `${place(found)}: ${manifest.name} may not import ${specifier}`
  if (specifier.startsWith('node:') || (specifier === '(computed)' && loadsModulesOfUsers.has(file))) return undefined
  if (!isDeclared(packageOf(specifier), manifest)) {
    return `${place(found)}: ${specifier} is neither in dependencies nor in peerDependencies`
  }
  const target = manifests.get(packageOf(specifier))
  const path = `.${specifier.slice(packageOf(specifier).length)}`
  return target?.exports && !(path in target.exports) ? `${place(found)}: ${specifier} is not exported` : undefined
}

function isDeclared(name: string, { dependencies, peerDependencies }: Manifest): boolean {
  return name in { ...dependencies, ...peerDependencies }
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

function place({ file, line }: Import): string {
  return `${file}:${line}`
}
