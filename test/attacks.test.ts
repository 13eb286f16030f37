import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { attackSuite } from '../packages/testing/src/attack-suite.ts'

const root = new URL('..', import.meta.url)
const read = (path: string): Promise<string> => readFile(new URL(path, root), 'utf8')

const page = await read('docs/security.md')
const rows = [...page.matchAll(/^\| (A\d+) +\| (.*?) +\| (.*?) +\| (.*?) +\|$/gm)].map(
  ([, name = '', , over = '', also = '']) => ({ name, over, also }),
)

/** By which transports the suite is run. */
const suites = ['ws', 'socket.io', 'long-polling', 'msgpack'].map((name) => `packages/${name}/test/attacks.test.ts`)
const suite = attackSuite({
  name: 'a link',
  serve: () => {
    throw new Error('only the names are looked at')
  },
}).map(({ name }) => name)
const requests = await read('packages/long-polling/test/attacks-one-shot.test.ts')
const tables = await read('packages/testing/src/hostile-messages.ts')

test('the list of attacks has all fifty rows', () => {
  expect(rows.map(({ name }) => name)).toEqual(Array.from({ length: 50 }, (_, i) => `A${i + 1}`))
})

test.each(suites)('%s runs the suite', async (path) => {
  expect(await read(path)).toMatch(/of attackSuite\(|\.\.\.attackSuite\(/)
})

test.each(rows)('$name is tried where the list says', async ({ name, over, also }) => {
  const places = [...also.matchAll(/`([^`]+\.ts)` "([^"]+)"/g)]
  for (const [, path = '', title = ''] of places) expect(await read(placeOf(path))).toContain(title)
  const isInSuite = suite.some((title) => title.startsWith(`${name} over a link:`))
  // Half a request is an attack by bytes, and not by a message.
  const isRequest = requests.includes(`'${name} over single requests`) || tables.includes(`'${name}'`)
  if (over.includes('links')) expect(isInSuite, 'in the suite').toBe(true)
  if (over.includes('requests') && name !== 'A5') expect(isRequest, 'as a single request').toBe(true)
  if (!over.includes('links')) expect(places).not.toEqual([])
  // Whatever is not tried over everything says why.
  if (over === 'no difference') expect(also).toMatch(/: \w/)
  else if (!['every way in', 'links, requests', 'ws, socket.io, HTTP'].includes(over))
    expect(also).toMatch(/Not over \w+|Nothing else has|single requests/)
})

function placeOf(path: string): string {
  return path.replace(/^security\//, 'packages/testing/test/core/security/').replace(/^e2e\//, 'apps/e2e/test/')
}
