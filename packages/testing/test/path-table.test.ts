import { type PathFinding, type PathFindings, pathTable, pathTableProblems } from '@rtapi/testing'
import { describe, expect, test } from 'vitest'

const captured: PathFinding = { is: 'captured' }
const coarse: PathFinding = { is: 'coarse' }

const findings = (found: Readonly<Record<string, PathFinding>>): PathFindings => new Map(Object.entries(found))

const sqlite = findings({
  bulkUpdate: coarse,
  upsertByTwoKeys: coarse,
  rawSql: { is: 'notCaptured', reason: 'it is not seen' },
  softDelete: { is: 'none', reason: 'nobody does it' },
})
const postgres = findings({
  bulkUpdate: coarse,
  upsertByTwoKeys: captured,
  rawSql: { is: 'notCaptured', reason: 'nor here' },
  softDelete: { is: 'none', reason: 'nobody does it' },
})
const titles = { bulkUpdate: '`update` with a condition' }
const table = pathTable({ SQLite: sqlite, PostgreSQL: postgres }, titles)

test('a table has a row for each path, a column for each run, and the reasons', () => {
  expect(table.split('\n')).toEqual([
    '| Written by | SQLite | PostgreSQL |  |',
    '| --- | --- | --- | --- |',
    '| `update` with a condition | all of the entity | all of the entity |  |',
    '| upsert by two keys | all of the entity | captured |  |',
    '| raw SQL | **not captured** | **not captured** | SQLite: it is not seen; PostgreSQL: nor here |',
    '| soft deletion | — | — | nobody does it |',
    '',
  ])
})

test('a path that a run has not tried has an empty cell', () => {
  expect(pathTable({ SQLite: sqlite, Other: findings({ increment: captured }) })).toContain(
    '| increment in the database |  | captured |  |',
  )
})

test('two paths of one title are refused', () => {
  expect(() => pathTable({ SQLite: sqlite }, { bulkUpdate: 'SQL', rawSql: 'SQL' })).toThrow("titled 'SQL'")
})

describe('a page is compared with what a run has found', () => {
  const page = `# A page\n\n| Other | table | here |\n| - | - | - |\n\nText\n\n${table}\nMore text.\n`
  const problems = (found: PathFindings, options = {}): readonly string[] =>
    pathTableProblems(page, 'PostgreSQL', found, { titles, ...options })

  test('the page of just that run has no problem, also when a formatter has padded it', () => {
    expect(problems(postgres, { complete: true })).toEqual([])
    expect(pathTableProblems(page, 'SQLite', sqlite, { titles, complete: true })).toEqual([])
    const padded = page.replaceAll(' | ', '      |   ').replaceAll('---', '--------------')
    expect(pathTableProblems(padded, 'SQLite', sqlite, { titles, complete: true })).toEqual([])
  })

  test('another finding, another reason, a row too few and a row too many are problems', () => {
    expect(problems(findings({ bulkUpdate: captured }))).toEqual([
      '`update` with a condition: found captured, but the page says all of the entity',
    ])
    expect(problems(findings({ rawSql: { is: 'notCaptured', reason: 'another' } }))).toEqual([
      "raw SQL: found 'another', but the page says 'SQLite: it is not seen; PostgreSQL: nor here'",
    ])
    expect(problems(findings({ ofMyOwn: coarse }))).toEqual([
      'of my own: found all of the entity, but there is no such row',
    ])
    expect(problems(new Map([...postgres].slice(1)), { complete: true })).toEqual([
      '`update` with a condition: a row of which nothing was found',
    ])
  })

  test('what was not tried is not looked at, unless the run was complete', () => {
    expect(problems(new Map([...postgres].slice(1)))).toEqual([])
  })

  test('a page without the column is a problem', () => {
    expect(pathTableProblems(page, 'MariaDB', postgres)).toEqual(["no table has the column 'MariaDB'"])
  })
})
