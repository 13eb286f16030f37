import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'

const root = new URL('..', import.meta.url)
const page = await readFile(new URL('docs/security.md', root), 'utf8')
const rows = [...page.matchAll(/^\| (A\d+) +\| (.*?) +\| (.*?) +\|$/gm)].map(([, name = '', , where = '']) => ({
  name,
  where,
}))

test('the list of attacks has all fifty rows', () => {
  expect(rows.map(({ name }) => name)).toEqual(Array.from({ length: 50 }, (_, i) => `A${i + 1}`))
})

test.each(rows)('$name is tried where the list says, or the list says why it does not apply', async ({ where }) => {
  const places = [...where.matchAll(/`([^`]+\.test\.ts)` "([^"]+)"/g)]
  if (places.length === 0) expect(where).toMatch(/^does not apply/)
  for (const [, path = '', title = ''] of places) {
    const file = path.replace(/^security\//, 'packages/testing/test/core/security/')
    expect(await readFile(new URL(file, root), 'utf8')).toContain(title)
  }
})
