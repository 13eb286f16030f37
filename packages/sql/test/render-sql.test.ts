import { expect, test } from 'vitest'
import { sql } from '../src/dialects/sql.ts'
import { renderSql } from '../src/render-sql.ts'

test('writes each parameter in place of its question mark', () => {
  expect(renderSql(sql('a = ? or b in (?, ?)', 1, 'x', null), (param, i) => `$${i + 1}:${String(param)}`)).toBe(
    'a = $1:1 or b in ($2:x, $3:null)',
  )
})

test('leaves question marks in names and texts, and those that a parameter brings', () => {
  const piece = sql(`"a?" = ? and \`b?\` = ? and c like 'it''s ?' escape '!'`, '?', "'?")
  expect(renderSql(piece, (param) => `<${String(param)}>`)).toBe(
    `"a?" = <?> and \`b?\` = <'?> and c like 'it''s ?' escape '!'`,
  )
})
