import type { DialectName } from './load/dialect.ts'
import type { Row } from './rows.ts'

/** A server to compare. */
export interface TargetEntry {
  /** The file of its process. */
  readonly file: URL
  /** What its clients speak. */
  readonly dialect: DialectName
  /** When it is measured although no target is named: always, unless it is to go quickly, or never. */
  readonly standard: 'always' | 'unless quick' | 'never'
  /** Whether it is to reach the goals of the rows, or to cost less than another target, or neither. */
  readonly goals: 'of the row' | 'none' | { readonly below: string }
  /**
   * Whether it sends what a record is rather than what happened to it: of changes in quick succession a client may see
   * the last alone.
   */
  readonly sendsStates: boolean
  /** The rows that it has no answer to. */
  readonly leavesOut: readonly string[]
}

/** The target that all others are compared with. */
export const BASELINE = 'bare-ws'

const twoProcesses = ['two-processes-groups', 'two-processes-record']
const others = {
  standard: 'unless quick',
  goals: 'none',
  sendsStates: false,
  leavesOut: [] as readonly string[],
} as const

/** All targets. A further one is a file in `targets/`, a dialect if it speaks its own, and an entry here. */
export const targets: Readonly<Record<string, TargetEntry>> = {
  [BASELINE]: {
    ...others,
    file: new URL('./targets/bare-ws.ts', import.meta.url),
    dialect: 'bare',
    standard: 'always',
  },
  rtapi: {
    ...others,
    file: new URL('./targets/rtapi.ts', import.meta.url),
    dialect: 'rtapi',
    standard: 'always',
    goals: 'of the row',
    sendsStates: true,
  },
  'rtapi-socket.io': {
    ...others,
    file: new URL('./targets/rtapi-socket-io.ts', import.meta.url),
    dialect: 'rtapi-socket.io',
    goals: { below: 'socket.io' },
    sendsStates: true,
    leavesOut: ['filters'],
  },
  'socket.io': {
    ...others,
    file: new URL('./targets/socket-io.ts', import.meta.url),
    dialect: 'socket.io',
    leavesOut: ['filters'],
  },
  feathers: {
    ...others,
    file: new URL('./targets/feathers.ts', import.meta.url),
    dialect: 'feathers',
    leavesOut: ['filters'],
  },
  'ws-transport': {
    ...others,
    file: new URL('./targets/ws-transport.ts', import.meta.url),
    dialect: 'bare',
    standard: 'never',
    leavesOut: twoProcesses,
  },
}

/** The chosen targets which have an answer to a row. */
export function targetsOf(row: Row, chosen: ReadonlyMap<string, TargetEntry>): ReadonlyMap<string, TargetEntry> {
  return new Map([...chosen].filter(([, { leavesOut }]) => !leavesOut.includes(row.name)))
}
