// Prints what the client costs a page: `node packages/client/scripts/size.ts`. Everything that it exports is counted, and
// all that it takes from @rtapi/core/protocol.
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'vite'

/** The client as an application would bundle it for browsers, and its size in bytes. */
export interface Size {
  readonly code: string
  readonly minified: number
  readonly gzipped: number
}

/** Bundles the client. */
export async function measure(): Promise<Size> {
  const result = await build({
    configFile: false,
    logLevel: 'error',
    resolve: { conditions: ['rtapi-source', 'module', 'browser', 'production'] },
    build: {
      write: false,
      target: 'es2023',
      lib: { entry: fileURLToPath(new URL('../src/index.ts', import.meta.url)), formats: ['es'] },
      rolldownOptions: { output: { minify: true } },
    },
  })
  const outputs = [result].flat().flatMap((bundle) => ('output' in bundle ? bundle.output : []))
  const code = outputs.map((chunk) => (chunk.type === 'chunk' ? chunk.code : '')).join('')
  return { code, minified: Buffer.byteLength(code), gzipped: gzipSync(code, { level: 9 }).length }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { minified, gzipped } = await measure()
  process.stdout.write(`@rtapi/client: ${minified} bytes minified, ${gzipped} gzipped\n`)
}
