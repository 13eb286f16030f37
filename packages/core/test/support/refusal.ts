import { RtapiError } from '../../src/protocol.ts'

/** The `RtapiError` that `read` throws. */
export function refusal(read: () => unknown): RtapiError {
  try {
    read()
  } catch (error) {
    if (error instanceof RtapiError) return error
    throw error
  }
  throw new Error('accepted')
}
