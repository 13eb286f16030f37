import { tryConformance } from './support/conformance.ts'

await tryConformance('mariadb')
