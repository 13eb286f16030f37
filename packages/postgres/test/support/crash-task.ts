import type { LiveTable } from '../../src/index.ts'

/** What a process that will be killed has to do. */
export type CrashTask =
  | {
      readonly role: 'writer'
      readonly database: string
      /** What is written, and never committed. */
      readonly sql: string
    }
  | {
      readonly role: 'relay'
      /** From triggers, or from the log by this slot. */
      readonly from: 'triggers' | { readonly slot: string }
      readonly database: string
      readonly redis: string
      readonly prefix: string
      readonly tables: readonly LiveTable[]
      /** Where it stands still. @default nowhere */
      readonly stop?: 'before publishing' | 'after publishing' | 'while reading'
    }
