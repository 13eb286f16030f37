import { type PathName, pathTitles } from './change-source-subject.ts'
import type { PathFinding, PathFindings } from './path-findings.ts'

/** How a table names the paths: those without a title go by their names. */
export type PathTitles = Readonly<Record<string, string>>

const cells: Readonly<Record<PathFinding['is'], string>> = {
  captured: 'captured',
  coarse: 'all of the entity',
  notCaptured: '**not captured**',
  none: '—',
}

/**
 * A Markdown table of what the suite has found: a row for each path, a column for each run, and the reasons behind them.
 * @param columns - the findings of each run by the heading of its column, such as the name of a database.
 * @throws TypeError if two paths have one title.
 */
export function pathTable(columns: Readonly<Record<string, PathFindings>>, titles: PathTitles = {}): string {
  const runs = Object.entries(columns)
  const paths = new Set(runs.flatMap(([, findings]) => [...findings.keys()]))
  const rows = [...paths].map((path) => [
    titleOf(path, titles),
    ...runs.map(([, findings]) => cellOf(findings.get(path))),
    reasons(runs, path),
  ])
  const named = rows.map(([title]) => title)
  const twice = named.find((title, i) => named.indexOf(title) < i)
  if (twice !== undefined) throw new TypeError(`two paths are titled '${twice}'`)
  const head = ['Written by', ...runs.map(([heading]) => heading), '']
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |\n`).join('')
}

/**
 * What a page that holds such a table says otherwise than a run has found, as texts: none if the page is right. What the
 * run has not tried is not looked at, unless `complete`.
 * @param page - Markdown in which the first table with this column is the one.
 */
export function pathTableProblems(
  page: string,
  heading: string,
  findings: PathFindings,
  options: { readonly titles?: PathTitles; readonly complete?: boolean } = {},
): readonly string[] {
  const { titles = {}, complete = false } = options
  const column = readColumn(page, heading)
  if (column === undefined) return [`no table has the column '${heading}'`]
  const problems = [...findings].flatMap(([path, finding]) => {
    const title = titleOf(path, titles)
    const row = column.get(title)
    column.delete(title)
    if (row === undefined) return [`${title}: found ${cellOf(finding)}, but there is no such row`]
    if (row.cell !== cellOf(finding)) return [`${title}: found ${cellOf(finding)}, but the page says ${row.cell}`]
    const reason = reasonOf(finding)
    return row.reasons.includes(reason) ? [] : [`${title}: found '${reason}', but the page says '${row.reasons}'`]
  })
  const rest = complete ? [...column.keys()].map((title) => `${title}: a row of which nothing was found`) : []
  return [...problems, ...rest]
}

function titleOf(path: string, titles: PathTitles): string {
  // A path under a name of one's own has no title of ours.
  const known: string | undefined = pathTitles[path as PathName]
  return titles[path] ?? known ?? path.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
}

function cellOf(finding: PathFinding | undefined): string {
  return finding === undefined ? '' : cells[finding.is]
}

function reasonOf(finding: PathFinding | undefined): string {
  return finding !== undefined && 'reason' in finding ? finding.reason : ''
}

/** Each reason once, with the columns that it is not the reason of all. */
function reasons(runs: readonly (readonly [string, PathFindings])[], path: string): string {
  const headings = new Map<string, string[]>()
  for (const [heading, findings] of runs) {
    const reason = reasonOf(findings.get(path))
    if (reason !== '') headings.set(reason, [...(headings.get(reason) ?? []), heading])
  }
  return [...headings]
    .map(([reason, of]) => (of.length === runs.length ? reason : `${of.join(', ')}: ${reason}`))
    .join('; ')
}

interface Row {
  readonly cell: string
  readonly reasons: string
}

function readColumn(page: string, heading: string): Map<string, Row> | undefined {
  const lines = page.split('\n').map((line) => line.split('|').map((cell) => cell.trim()))
  const head = lines.findIndex((line) => line.length > 3 && line.includes(heading, 2))
  if (head === -1) return undefined
  const at = lines[head]?.indexOf(heading) ?? 0
  const rows = new Map<string, Row>()
  for (const line of lines.slice(head + 2)) {
    if (line.length < 3) break
    rows.set(line[1] ?? '', { cell: line[at] ?? '', reasons: line.at(-2) ?? '' })
  }
  return rows
}
