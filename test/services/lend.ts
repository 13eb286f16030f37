import { inject } from 'vitest'

/**
 * The URL of a server that all test files share, without the name of a database: each file makes one of its own.
 * Answers why there is none if the server is not installed.
 */
export async function lend(name: 'postgres' | 'mariadb'): Promise<{ url: string } | { missing: string }> {
  const response = await fetch(`${inject('services')}/${name}`)
  const text = await response.text()
  if (response.ok) return { url: text }
  if (text.includes('ENOENT')) return { missing: `${name} is not installed` }
  throw new Error(text)
}
