import { writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'

let session: Session | undefined

/** From now on records where this process spends its time. */
export async function startProfile(): Promise<void> {
  session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: 200 })
  await session.post('Profiler.start')
}

/** Writes what was recorded into a file; nothing if nothing was. */
export async function writeProfile(file: string): Promise<void> {
  const recorded = await session?.post('Profiler.stop')
  session?.disconnect()
  session = undefined
  if (recorded !== undefined) writeFileSync(file, JSON.stringify(recorded.profile))
}
