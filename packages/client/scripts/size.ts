// Prints what the client costs a page: `node packages/client/scripts/size.ts`. What an application imports is counted, and
// all that this takes from @rtapi/core/protocol.
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { bundle } from './bundle.ts'

/** The client as an application would bundle it for browsers, and its size in bytes. */
export interface Size {
  readonly code: string
  readonly minified: number
  readonly gzipped: number
}

const index = fileURLToPath(new URL('../src/index.ts', import.meta.url))

/** Bundles what an application that imports these names would get. */
export async function measure(names: readonly string[]): Promise<Size> {
  const code = await bundle(`export { ${names.join(', ')} } from ${JSON.stringify(index)}`)
  return { code, minified: Buffer.byteLength(code), gzipped: gzipSync(code, { level: 9 }).length }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const base = await measure(['createClient'])
  process.stdout.write(`createClient: ${base.minified} bytes minified, ${base.gzipped} gzipped\n`)
  for (const name of ['longPollingTransport', 'eventStreamTransport', 'socketIoTransport']) {
    const { minified, gzipped } = await measure(['createClient', name])
    process.stdout.write(`  with ${name}: ${minified - base.minified} more, ${gzipped - base.gzipped} gzipped\n`)
  }
}
