import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readWorkspaces, type Manifest } from './workspace.ts'

const packages = readWorkspaces('packages')
const apps = readWorkspaces('apps')
const core = packages.find(({ manifest }) => manifest.name === '@rtapi/core')?.manifest

const keyOrder =
  'name version description keywords license bin files type sideEffects exports publishConfig scripts dependencies ' +
  'devDependencies peerDependencies peerDependenciesMeta engines'
const optionalKeys = ['bin', 'dependencies', 'devDependencies', 'peerDependencies', 'peerDependenciesMeta']
const sameEverywhere = ['version', 'license', 'files', 'type', 'sideEffects', 'publishConfig', 'scripts']

/**
 * The packages of this repository that each package may depend on at run time; an adapter: core only. Adapters of
 * libraries for SQL databases share what is the same for all of them.
 */
const mayDependOn: Record<string, string[]> = {
  '@rtapi/core': [],
  '@rtapi/mikro-orm': ['@rtapi/core', '@rtapi/sql'],
  '@rtapi/sequelize': ['@rtapi/core', '@rtapi/sql'],
  '@rtapi/postgres': ['@rtapi/core', '@rtapi/sql'],
}

function internalDependencies(manifest: Manifest): [name: string, version: string][] {
  const { dependencies, peerDependencies, optionalDependencies, devDependencies } = manifest
  return [dependencies, peerDependencies, optionalDependencies, devDependencies]
    .flatMap((group) => Object.entries(group ?? {}))
    .filter(([name]) => name.startsWith('@rtapi'))
}

describe.each(packages.map(({ manifest, folder }) => ({ name: manifest.name, manifest, folder })))(
  'the manifest of $name',
  ({ manifest, folder }) => {
    test('has the keys of every package in the same order', () => {
      const expected = keyOrder.split(' ').filter((key) => key in manifest || !optionalKeys.includes(key))
      expect(Object.keys(manifest)).toEqual(expected)
    })

    test('agrees with core where all packages are the same', () => {
      for (const key of sameEverywhere) expect(manifest[key], key).toEqual(core?.[key])
    })

    test('exports sources, types and JavaScript of files that exist', () => {
      for (const [path, target] of Object.entries(manifest.exports ?? {})) {
        if (path === './package.json') continue
        const file = path === '.' ? 'index' : path.slice(2)
        const conditions = {
          'rtapi-source': `./src/${file}.ts`,
          types: `./dist/${file}.d.ts`,
          default: `./dist/${file}.js`,
        }
        expect(Object.entries(target), path).toEqual(Object.entries(conditions))
        expect(existsSync(join(folder, 'src', `${file}.ts`)), `src/${file}.ts`).toBe(true)
      }
    })

    test('depends at run time on no package of this repository but those its rule allows', () => {
      const allowed = mayDependOn[manifest.name] ?? ['@rtapi/core']
      const { dependencies, peerDependencies, optionalDependencies } = manifest
      const names = Object.keys({ ...dependencies, ...peerDependencies, ...optionalDependencies })
      expect(names.filter((name) => name.startsWith('@rtapi') && !allowed.includes(name))).toEqual([])
    })

    test('asks for exactly the versions of this repository, and for no app', () => {
      const versions = Object.fromEntries(packages.map((other) => [other.manifest.name, other.manifest.version]))
      for (const [name, version] of internalDependencies(manifest)) expect(version, name).toBe(versions[name])
    })
  },
)

test('core depends on nothing, and not even for its tests on @rtapi/testing', () => {
  expect(core).not.toHaveProperty('dependencies')
  expect(core).not.toHaveProperty('peerDependencies')
  expect(core).not.toHaveProperty('optionalDependencies')
  expect(core?.devDependencies).not.toHaveProperty('@rtapi/testing')
})

test('apps are private, and no app depends on another', () => {
  const names = apps.map(({ manifest }) => manifest.name)
  for (const { manifest } of apps) {
    expect(manifest.private, manifest.name).toBe(true)
    expect(internalDependencies(manifest).filter(([name]) => names.includes(name))).toEqual([])
  }
})
