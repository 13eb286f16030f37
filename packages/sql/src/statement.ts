/** What a statement that reaches the connection does, as far as captures have to know. */
export type Statement =
  | { readonly type: 'read' | 'begin' | 'commit' | 'rollback' | 'definition' | 'write' | 'other' }
  | { readonly type: 'savepoint' | 'release' | 'rollbackTo'; readonly name: string }

const FIRST_WORD = /^(?:\s|--[^\n]*(?:\n|$)|\/\*[^]*?\*\/|\()*([a-z]+)/i
const SAVEPOINT = /savepoint\s+(.+?)\s*;?\s*$/i
const RELEASE = /release\s+(?:savepoint\s+)?(.+?)\s*;?\s*$/i
const ROLLBACK_TO = /rollback\s+(?:work\s+|transaction\s+)?to\s+(?:savepoint\s+)?(.+?)\s*;?\s*$/i

/** Tells what a statement is by its first words. */
export function readStatement(sql: string): Statement {
  switch (FIRST_WORD.exec(sql)?.[1]?.toLowerCase()) {
    case 'select':
      return { type: 'read' }
    case 'begin':
      return { type: 'begin' }
    case 'start':
      return { type: /start\s+transaction/i.test(sql) ? 'begin' : 'other' }
    case 'commit':
    case 'end':
      return { type: 'commit' }
    case 'rollback':
    case 'abort': {
      const name = ROLLBACK_TO.exec(sql)?.[1]
      return name === undefined ? { type: 'rollback' } : { type: 'rollbackTo', name: unquote(name) }
    }
    case 'savepoint':
      return { type: 'savepoint', name: unquote(SAVEPOINT.exec(sql)?.[1] ?? '') }
    case 'release':
      return { type: 'release', name: unquote(RELEASE.exec(sql)?.[1] ?? '') }
    case 'create':
    case 'alter':
    case 'drop':
    case 'rename':
      return { type: 'definition' }
    case 'insert':
    case 'update':
    case 'delete':
    case 'replace':
    case 'merge':
    case 'truncate':
    case 'with':
    case 'copy':
    case 'call':
    case 'execute':
    case 'do':
    case 'load':
      return { type: 'write' }
    default:
      return { type: 'other' }
  }
}

/** Statements which do not say to which tables they write: what they have written cannot be announced. */
export const opaqueVerbs: ReadonlySet<string> = new Set(['call', 'execute', 'do', 'copy', 'load'])

/** A statement that writes: what it does, and the known tables that it may write to. */
export interface WriteStatement {
  /** Its first word, in lower case. */
  readonly verb: string
  readonly tables: readonly string[]
}

const LITERAL = /'(?:[^'\\]|\\.|'')*'/gs
/** Writes stand at the beginning, or behind what ends or begins a part of `with`; some can only be whole statements. */
const WRITE =
  /(?:(?:^|[;()])\s*(insert|update|delete|replace|merge)|(?:^|;)\s*(truncate|call|execute|do|copy|load))\b/gi
const IDENTIFIER = /"([^"]+)"|`([^`]+)`|\[([^\]]+)\]|([a-z_][\w$]*)/gi
/** Where the part of a statement ends that names its tables. */
const HEAD_END: Readonly<Record<string, RegExp>> = {
  insert: /\(|\b(select|values|default|set|with)\b/i,
  replace: /\(|\b(select|values|set)\b/i,
  update: /\bset\b/i,
  delete: /\bwhere\b|\breturning\b|;/i,
  merge: /\busing\b/i,
  truncate: /;/,
}

/**
 * The writes in a text of SQL, also behind `with` and `;`. Reads the text only as far as needed to find the tables; it
 * names rather too many tables than too few. Statements whose tables cannot be known (`opaqueVerbs`) have none.
 * @param isTable - whether there is an entity of this table, whose name is given in lower case.
 */
export function readWrites(sql: string, isTable: (name: string) => boolean): readonly WriteStatement[] {
  const text = sql.replace(LITERAL, "''")
  return [...text.matchAll(WRITE)].map((match) => {
    const verb = (match[1] ?? match[2] ?? '').toLowerCase()
    const rest = text.slice(match.index + match[0].length)
    const end = HEAD_END[verb]?.exec(rest)?.index ?? (verb in HEAD_END ? rest.length : 0)
    const names = [...rest.slice(0, end).matchAll(IDENTIFIER)].map((found) =>
      (found[1] ?? found[2] ?? found[3] ?? found[4] ?? '').toLowerCase(),
    )
    return { verb, tables: [...new Set(names.filter(isTable))] }
  })
}

function unquote(name: string): string {
  return name.replace(/^["`[]|["`\]]$/g, '')
}
