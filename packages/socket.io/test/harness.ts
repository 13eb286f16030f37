import { type RecordingApi, type RecordingApiOptions, recordingApi } from '@rtapi/testing'
import { onTestFinished, vi } from 'vitest'
import { type Listening, type ListenOptions, listen } from './server.ts'

// Everything is waited for, and a busy machine takes its time.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

export interface Served extends Listening {
  readonly api: RecordingApi
}

type ServeOptions = Omit<ListenOptions, 'api'> & { readonly api?: RecordingApiOptions }

/** Serves a recording API on a port of its own, until the test ends. */
export async function serve({ api: apiOptions = {}, ...options }: ServeOptions = {}): Promise<Served> {
  const api = recordingApi({ timeout: 20_000, ...apiOptions })
  const listening = await listen({ api, ...options })
  onTestFinished(async () => {
    listening.stop()
    await listening.io.close()
  })
  return { api, ...listening }
}

/** Looks again and again, as one must where nobody tells. */
export async function until<T>(what: string, take: () => T | undefined | false): Promise<T> {
  const end = performance.now() + 20_000
  for (;;) {
    const found = take()
    if (found !== undefined && found !== false) return found
    if (performance.now() > end) throw new Error(`waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
