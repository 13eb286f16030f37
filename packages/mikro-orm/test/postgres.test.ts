import { tryConformance } from './support/conformance.ts'

await tryConformance('postgres')
