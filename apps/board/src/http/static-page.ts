import { readFile, readdir } from 'node:fs/promises'
import { extname, join, relative, sep } from 'node:path'
import type { ServerResponse } from 'node:http'

/** The built page, held in memory. */
export interface StaticPage {
  /** Answers a GET or HEAD of this path; `false` if there is no such file. */
  serve(path: string, response: ServerResponse): boolean
}

const contentTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
}

const notBuilt = 'The page is not built. Run: npm run page:build --workspace apps/board\n'

/** Reads every file of the folder, so that no path of a request ever reaches the file system. */
export async function loadStaticPage(folder: string): Promise<StaticPage> {
  const files = await readFiles(folder)
  return {
    serve(path, response) {
      const file = files.get(path === '/' ? '/index.html' : path)
      if (file !== undefined) {
        response.writeHead(200, file.headers).end(file.body)
        return true
      }
      if (path !== '/' || files.size > 0) return false
      response.writeHead(503, { 'content-type': 'text/plain; charset=utf-8' }).end(notBuilt)
      return true
    },
  }
}

interface File {
  readonly headers: Readonly<Record<string, string | number>>
  readonly body: Buffer
}

async function readFiles(folder: string): Promise<ReadonlyMap<string, File>> {
  const files = new Map<string, File>()
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => [])) {
    if (!entry.isFile() || entry.name.startsWith('.')) continue
    const file = join(entry.parentPath, entry.name)
    const path = `/${relative(folder, file).split(sep).join('/')}`
    const body = await readFile(file)
    const headers = {
      'content-type': contentTypes[extname(file)] ?? 'application/octet-stream',
      'content-length': body.length,
      // The names of assets hold a hash of what is in them.
      'cache-control': path.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
    }
    files.set(path, { headers, body })
  }
  return files
}
