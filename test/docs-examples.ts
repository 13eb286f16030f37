import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

const root: string = resolve(import.meta.dirname, '..')

/** All pages of the documentation, as paths from the root. */
export const pages: readonly string[] = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
  ...readdirSync(join(root, 'packages')).map((name) => `packages/${name}/README.md`),
].filter((page) => existsSync(join(root, page)))

export const textOf = (page: string): string => readFileSync(join(root, page), 'utf8')

/**
 * Writes the examples of the documentation to a folder under `.rtapi`: the blocks that begin with ```ts file=<name>.
 * The files of one page lie side by side, as do those of all pages about writing one's own.
 * @returns the folder.
 */
export function writeExamples(into: string): string {
  const folder = join(root, '.rtapi', into)
  rmSync(folder, { recursive: true, force: true })
  for (const page of pages) {
    const together = page.startsWith('docs/write-your-own/')
    const place = join(folder, together ? dirname(page) : page.replace(/\.md$/, ''))
    for (const [, name = '', code = ''] of textOf(page).matchAll(/^```tsx? file=(\S+)\n([\s\S]*?)^```$/gm)) {
      mkdirSync(place, { recursive: true })
      writeFileSync(join(place, name), code)
    }
  }
  return folder
}
