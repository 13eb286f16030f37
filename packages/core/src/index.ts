export * from './accept-gate.ts'
export * from './api.ts'
export * from './change-source.ts'
export * from './channel-layer.ts'
export * from './codec.ts'
export { createApi } from './create-api.ts'
export * from './diagnostics.ts'
export * from './filter.ts'
export { groupBy, type GroupNaming, type GroupParts, perRecord, type PinnedTerms, wholeResource } from './groups.ts'
export { logLine, logReport } from './log-line.ts'
export { compileFilter, matchesFilter } from './match-filter.ts'
export * from './memory-layer.ts'
export * from './memory-results.ts'
export * from './memory-store.ts'
export * from './open-sockets.ts'
export * from './origin-policy.ts'
export * from './permission.ts'
export {
  allowAny,
  every,
  forActions,
  isAdmin,
  isAuthenticated,
  isRead,
  not,
  owns,
  readOnly,
  type SessionPermission,
  some,
} from './permissions.ts'
export * from './presence-keeper.ts'
export * from './protocol.ts'
export * from './resource.ts'
export * from './result-keeper.ts'
export { type Clock, type MaybePromise, type Report, type ReportContext, systemClock } from './runtime.ts'
export * from './session.ts'
export * from './session-rule.ts'
export * from './standard-schema.ts'
export * from './store.ts'
export type { SweepOptions } from './sweep.ts'
export * from './transport-socket.ts'
export { isComparable, isWellFormed, keyOf, parseValue } from './value.ts'
export * from './web-socket-frame.ts'
export { and, or } from './where.ts'
export * from './write-queue.ts'
