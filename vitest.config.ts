import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

// Tests run on the sources: the condition `rtapi-source` of each package's exports names src/, not dist/.
const source = 'rtapi-source'

// Workers, and the processes that tests start, compile the same files again and again: half of the time of a short one.
const at = (path: string): URL => new URL(path, import.meta.url)
process.env['NODE_COMPILE_CACHE'] ??= fileURLToPath(at('node_modules/.cache/compiled'))
process.env['NODE_OPTIONS'] = [process.env['NODE_OPTIONS'], `--import=${at('test/services/keep-compiled.mjs').href}`]
  .filter(Boolean)
  .join(' ')

export default defineConfig({
  resolve: { conditions: [source, 'module', 'node', 'development|production'] },
  ssr: {
    resolve: {
      conditions: [source, 'module', 'node', 'development|production'],
      externalConditions: [source, 'node', 'module-sync'],
    },
  },
  test: {
    // Many tests wait for servers, browsers and processes of their own rather than for a core.
    maxWorkers: Math.max(4, availableParallelism()),
    projects: [
      {
        extends: true,
        test: {
          name: 'node',
          environment: 'node',
          globalSetup: ['test/services/global-setup.ts'],
          include: ['test/**/*.test.ts', 'packages/*/test/**/*.test.ts', 'apps/*/test/**/*.test.ts'],
        },
      },
      {
        extends: true,
        test: {
          name: 'types',
          include: [],
          typecheck: {
            enabled: true,
            only: true,
            checker: 'tsc',
            tsconfig: './tsconfig.test.json',
            include: ['packages/*/test/**/*.test-d.ts'],
          },
        },
      },
    ],
  },
})
