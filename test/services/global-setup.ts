/**
 * Lends the test files the servers of databases: each is started when the first file asks for it, shared by all, and
 * ended with the run.
 */
import { createServer } from 'node:http'
import type { TestProject } from 'vitest/node'
import { startMariadb } from './mariadb.ts'
import { startPostgres } from './postgres.ts'
import type { Service } from './service.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Where test files ask for servers. */
    services: string
  }
}

const starts: Readonly<Record<string, () => Promise<Service>>> = { postgres: startPostgres, mariadb: startMariadb }

let close: (() => Promise<void>) | undefined

export async function setup(project: TestProject): Promise<void> {
  const started = new Map<string, Promise<Service>>()
  const desk = createServer((request, response) => {
    const name = request.url?.slice(1) ?? ''
    const service = started.get(name) ?? starts[name]?.() ?? Promise.reject(new Error(`there is no service '${name}'`))
    started.set(name, service)
    service.then(
      ({ url }) => response.end(url),
      (error: unknown) => response.writeHead(503).end(String(error)),
    )
  })
  await new Promise<void>((resolve) => desk.listen(0, '127.0.0.1', resolve))
  const address = desk.address()
  if (address === null || typeof address === 'string') throw new Error('the desk of the services has no port')
  project.provide('services', `http://127.0.0.1:${address.port}`)

  close = async () => {
    desk.closeAllConnections()
    desk.close()
    const services = await Promise.allSettled(started.values())
    await Promise.all(services.flatMap((service) => (service.status === 'fulfilled' ? [service.value.stop()] : [])))
  }
}

export async function teardown(): Promise<void> {
  await close?.()
}
