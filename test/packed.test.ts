import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { writeExamples } from './docs-examples.ts'
import { readWorkspaces } from './workspace.ts'

const root = resolve(import.meta.dirname, '..')
const folder = mkdtempSync(join(tmpdir(), 'rtapi-packed-'))
const run = promisify(execFile)
const packages = readWorkspaces('packages').map(({ folder, manifest }) => ({ name: basename(folder), manifest }))
/** Packages that are packed but not installed, since their peers are large. */
const left = ['mikro-orm']

/** Imports under their names, then does the quick start: a server, a client, a live view that shows a change. */
const quickStart = (imports: string): string => `${imports}
async function main() {
  const store = memoryStore({ entity: 'Comment', fields: { id: 'integer', topicId: 'integer', text: 'string' } })
  const comments = defineResource('comments', { store, input: { create: ['topicId', 'text'] }, permissions: [allowAny] })
  const api = createApi({ resources: [comments], changes: [store] })
  const http = createServer()
  serveWebSocket(api, http, { path: '/rt' })
  await new Promise((listening) => http.listen(0, '127.0.0.1', listening))
  const client = createClient({ url: 'ws://127.0.0.1:' + http.address().port + '/rt', WebSocket })
  const view = client.comments.live({ where: { topicId: 7 } })
  await view.ready
  await client.comments.create({ topicId: 7, text: 'hello' })
  console.log(JSON.stringify(view.rows))
  client.close()
  await api.close()
  http.close()
}
void main()
`
const names = {
  'node:http': 'createServer',
  '@rtapi/core': 'allowAny, createApi, defineResource, memoryStore',
  '@rtapi/ws': 'serveWebSocket',
  '@rtapi/client': 'createClient',
  ws: 'WebSocket',
}
const shown = '[{"id":1,"topicId":7,"text":"hello"}]'

beforeAll(async () => {
  await run(join(root, 'node_modules/.bin/tsc'), ['-b', ...packages.map(({ name }) => `packages/${name}`)], {
    cwd: root,
  })
  for (const { name } of packages)
    await run('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: join(root, 'packages', name) })
  const tarballs = readdirSync(folder).filter((name) => name.endsWith('.tgz'))
  expect(tarballs).toHaveLength(packages.length)
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'quick-start', private: true, type: 'module' }))
  const installed = packages.filter(({ name }) => !left.includes(name))
  const peers = installed.flatMap(({ manifest }) =>
    Object.keys(manifest.peerDependencies ?? {}).map((name) => `${name}@${manifest.devDependencies?.[name] ?? ''}`),
  )
  const wanted = [
    ...tarballs.filter((file) => !left.some((name) => file.startsWith(`rtapi-${name}-`))).map((file) => `./${file}`),
    ...new Set(peers),
  ]
  await run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', ...wanted], { cwd: folder })
}, 120_000)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('the packed packages run the quick start as ES modules', async () => {
  const imports = Object.entries(names).map(([from, what]) => `import { ${what} } from '${from}'`)
  writeFileSync(join(folder, 'start.mjs'), quickStart(imports.join('\n')))
  expect((await run('node', ['start.mjs'], { cwd: folder })).stdout.trim()).toBe(shown)
}, 30_000)

test('the packed packages run the quick start from require', async () => {
  const imports = Object.entries(names).map(([from, what]) => `const { ${what} } = require('${from}')`)
  writeFileSync(join(folder, 'start.cjs'), quickStart(imports.join('\n')))
  expect((await run('node', ['start.cjs'], { cwd: folder })).stdout.trim()).toBe(shown)
}, 30_000)

test('every packed package can be imported, and required', async () => {
  const named = packages.filter(({ name }) => !left.includes(name)).map(({ manifest }) => manifest.name)
  expect(named.length).toBeGreaterThan(8)
  const say = `console.log(JSON.stringify(all.map((exports) => Object.keys(exports).length > 0)))`
  writeFileSync(
    join(folder, 'all.mjs'),
    `const all = await Promise.all(${JSON.stringify(named)}.map((name) => import(name)))\n${say}`,
  )
  writeFileSync(join(folder, 'all.cjs'), `const all = ${JSON.stringify(named)}.map((name) => require(name))\n${say}`)
  for (const file of ['all.mjs', 'all.cjs']) {
    const { stdout } = await run('node', [file], { cwd: folder })
    expect(JSON.parse(stdout), file).toEqual(named.map(() => true))
  }
}, 30_000)

test('the quick start of the README compiles against the packed packages', async () => {
  const examples = join(writeExamples('packed'), 'README')
  for (const name of ['server.ts', 'client.ts']) writeFileSync(join(folder, name), readFileSync(join(examples, name)))
  const options = [
    '--noEmit',
    '--strict',
    '--module',
    'nodenext',
    '--target',
    'es2023',
    '--lib',
    'es2023,dom',
    '--allowImportingTsExtensions',
  ]
  const types = ['--types', 'node', '--typeRoots', join(root, 'node_modules/@types')]
  const result = await run(join(root, 'node_modules/.bin/tsc'), [...options, ...types, 'server.ts', 'client.ts'], {
    cwd: folder,
  }).then(
    ({ stdout }) => stdout,
    ({ stdout }: { stdout: string }) => stdout,
  )
  expect(result).toBe('')
}, 30_000)
