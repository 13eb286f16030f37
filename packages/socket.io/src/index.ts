export * from './serve-socket-io.ts'
