export { settle } from './event-loop.ts'
export * from './fake-clock.ts'
