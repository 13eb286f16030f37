/** A server to compare: the file of its process, and what its clients speak. */
export interface TargetEntry {
  readonly file: URL
  /** A name in `load/dialect.ts`. */
  readonly dialect: string
  /** Whether it is measured when no target is named. */
  readonly standard: boolean
}

/** The target that all others are compared with. */
export const BASELINE = 'bare-ws'

/** All targets. A further one is a file in `targets/`, a dialect if it speaks its own, and a line here. */
export const targets: Readonly<Record<string, TargetEntry>> = {
  [BASELINE]: { file: new URL('./targets/bare-ws.ts', import.meta.url), dialect: 'bare', standard: true },
  rtapi: { file: new URL('./targets/rtapi.ts', import.meta.url), dialect: 'rtapi', standard: true },
  'ws-transport': { file: new URL('./targets/ws-transport.ts', import.meta.url), dialect: 'bare', standard: false },
}
