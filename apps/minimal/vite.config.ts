import { defineConfig } from 'vite'

// The page is built from the sources of the packages, as the server runs them.
export default defineConfig({
  root: new URL('page', import.meta.url).pathname,
  resolve: { conditions: ['rtapi-source', 'module', 'browser', 'development|production'] },
  build: { outDir: '../dist-page', emptyOutDir: true, rolldownOptions: { output: { entryFileNames: 'page.js' } } },
})
