import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseSync } from 'vite'

/** The root folder of the repository. */
export const root = fileURLToPath(new URL('..', import.meta.url))

/** What the checks read of a package.json. */
export interface Manifest {
  name: string
  version: string
  private?: boolean
  exports?: Record<string, string | Record<string, string>>
  scripts?: Record<string, string>
  dependencies?: Record<string, string>
  peerDependencies?: Record<string, string>
  optionalDependencies?: Record<string, string>
  devDependencies?: Record<string, string>
  [key: string]: unknown
}

/** A folder of `packages` or `apps`. */
export interface Workspace {
  folder: string
  manifest: Manifest
}

/** One import or re-export of a file; `file` is relative to the root. */
export interface Import {
  file: string
  line: number
  specifier: string
  /** Nothing of it is left in the emitted JavaScript. */
  typeOnly: boolean
}

/** Reads the manifests below `packages` or `apps`. */
export function readWorkspaces(kind: 'packages' | 'apps'): Workspace[] {
  return readdirSync(join(root, kind))
    .map((name) => join(root, kind, name))
    .filter((folder) => existsSync(join(folder, 'package.json')))
    .map((folder) => ({ folder, manifest: readJson(join(folder, 'package.json')) as Manifest }))
}

/** Parses a JSON file. */
export function readJson(file: string): unknown {
  return JSON.parse(readFileSync(file, 'utf8')) as unknown
}

/** The TypeScript files of a folder and of the folders in it. */
export function sourceFiles(folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.tsx?$/.test(path))
    .map((path) => join(folder, path))
    .toSorted()
}

/** Every import of a file: static, re-exported, dynamic, and in types. */
export function importsOf(file: string): Import[] {
  const source = readFileSync(file, 'utf8')
  const { program, errors } = parseSync(file, source, { lang: file.endsWith('x') ? 'tsx' : 'ts' })
  if (errors[0]) throw new Error(`${file}: ${errors[0].message}`)
  const found: Import[] = []
  visit(program, (node) => {
    const specifier = specifierOf(node)
    if (specifier === undefined) return
    const line = source.slice(0, Number(node['start'])).split('\n').length
    found.push({ file: relative(root, file), line, specifier, typeOnly: isTypeOnly(node) })
  })
  return found
}

/** The file that a relative import names. */
export function resolveRelative({ file, specifier }: Import): string {
  return join(dirname(join(root, file)), specifier)
}

type Node = Record<string, unknown>

function visit(value: unknown, each: (node: Node) => void): void {
  if (typeof value !== 'object' || value === null) return
  if (!Array.isArray(value)) each(value as Node)
  for (const child of Object.values(value)) visit(child, each)
}

function specifierOf(node: Node): string | undefined {
  const holder = sourceHolders[String(node['type'])]
  const literal = holder && node[holder]
  if (typeof literal !== 'object' || literal === null) return undefined
  // A computed import() cannot be checked: it is reported as what it is, and no rule allows that.
  return 'value' in literal && typeof literal.value === 'string' ? literal.value : '(computed)'
}

/** Where each kind of node that imports keeps the name of the module. */
const sourceHolders: Record<string, string> = {
  ImportDeclaration: 'source',
  ExportNamedDeclaration: 'source',
  ExportAllDeclaration: 'source',
  ImportExpression: 'source',
  TSImportType: 'source',
  TSExternalModuleReference: 'expression',
}

function isTypeOnly(node: Node): boolean {
  if (node['type'] === 'TSImportType') return true
  return node['importKind'] === 'type' || node['exportKind'] === 'type'
}
