export * from './serve-socket-io.ts'
export { type SafeServerOptions, socketIoOptions } from './server-options.ts'
