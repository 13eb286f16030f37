import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { documented, pageFile, tablePattern } from './write-paths/documented.ts'

const page = readFileSync(pageFile, 'utf8')

test.each(Object.entries(documented))(
  'the table of %s has a column for each run that compares itself with it',
  (name, { runs }) => {
    const [table = ''] = tablePattern(name as keyof typeof documented).exec(page) ?? []
    const [head = ''] = table.trim().split('\n')
    const cells = head.split('|').map((cell) => cell.trim())
    expect(cells.slice(2, -2)).toEqual(Object.values(runs))
  },
)
