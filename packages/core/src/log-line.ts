import { RtapiError } from './protocol.ts'
import type { Clock, Report, ReportContext } from './runtime.ts'
import { TokenBucket } from './token-bucket.ts'

/** Characters of one value in a log line. */
const MAX_VALUE = 256
/** Lines a second for one kind of failure. */
const MAX_RATE = 100
const MAX_CAUSES = 3
const MAX_FRAMES = 8

/**
 * One failure as one line of JSON, printable ASCII and letters only: whatever a value holds, it neither breaks the line nor
 * reaches a terminal as a command, and is cut at 256 characters.
 */
export function logLine(error: unknown, context: ReportContext): string {
  const fields: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(context)) fields[name] = cut(value)
  return escape(JSON.stringify({ ...fields, ...described(error) }))
}

/**
 * A report that writes lines of JSON, at most 100 a second of one kind; what was left out is counted in the next one.
 * @param write - takes one line, without its end.
 */
export function logReport(write: (line: string) => void, clock: Clock): Report {
  const kinds = new Map<string, { readonly bucket: TokenBucket; dropped: number }>()
  return (error, context) => {
    const now = clock.monotonic()
    let kind = kinds.get(context.during)
    if (kind === undefined) {
      kind = { bucket: new TokenBucket(MAX_RATE, MAX_RATE, now), dropped: 0 }
      kinds.set(context.during, kind)
    }
    if (kind.bucket.take(1, now) > 0) {
      kind.dropped++
      return
    }
    const { dropped } = kind
    kind.dropped = 0
    write(logLine(error, dropped === 0 ? context : { ...context, dropped }))
  }
}

function described(error: unknown, depth = 0): Readonly<Record<string, unknown>> {
  if (!(error instanceof Error)) return { error: cut(typeof error), message: cut(textOf(error)) }
  const { name, message, stack = '', cause } = error
  const frames = stack.split('\n').filter((line) => /^\s+at /.test(line))
  return {
    error: cut(name),
    ...(error instanceof RtapiError ? { code: error.code } : {}),
    message: cut(message),
    // The innermost cause says where it began.
    ...(cause === undefined || depth === MAX_CAUSES
      ? { stack: frames.slice(0, MAX_FRAMES).map((line) => cut(line.trim())) }
      : { cause: described(cause, depth + 1) }),
  }
}

function textOf(value: unknown): string {
  // An object may be a payload.
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}

function cut(value: unknown): unknown {
  if (typeof value !== 'string') return value
  return value.length <= MAX_VALUE ? value : `${value.slice(0, MAX_VALUE)}…`
}

/** JSON leaves some characters as they are that end a line, command a terminal or turn the text around. */
function escape(json: string): string {
  return json.replace(/[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g, (char) => {
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}
