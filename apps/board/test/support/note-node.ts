/** A process that writes notes as it is told by its parent, and announces them over Redis. */
import { allowAny, createApi, defineResource } from '@rtapi/core'
import { redisLayer } from '@rtapi/redis'
import { fakeClock } from '@rtapi/testing'
import { type NotesAddress, openNotes } from './notes.ts'

/** How the process is to run: the first argument, as JSON. */
export interface NoteNodeOptions {
  readonly notes: NotesAddress
  readonly redis: string
  /** `forgetful`: rows that were announced are never removed, and nobody else's are looked for. */
  readonly outbox: 'off' | 'on' | 'forgetful'
}

/** What it is told. */
export interface NoteOrder {
  /** `hold`: in a transaction that is committed at the order `go`. */
  readonly type: 'write' | 'writeAlone' | 'hold' | 'go'
  readonly id: number
  readonly text: string
}

/** What it says: first that it is ready, then of each order that it is done. */
export interface NoteAnswer {
  readonly done: 'ready' | NoteOrder['type']
  readonly error?: string
}

const options = JSON.parse(process.argv[2] ?? '') as NoteNodeOptions
const outbox = options.outbox === 'forgetful' ? { clock: fakeClock() } : options.outbox === 'on'
const notes = await openNotes(options.notes, { report: () => {}, outbox })
const api = createApi({
  resources: [defineResource('notes', { store: notes.store, permissions: [allowAny] })],
  changes: [notes.changes],
  layer: redisLayer(options.redis, { report: () => {} }),
  report: () => {},
})
await api.ready

let go: () => void = () => {}

async function obey({ type, id, text }: NoteOrder): Promise<void> {
  switch (type) {
    case 'write':
      return notes.write(id, text)
    case 'writeAlone':
      return notes.writeAlone(id, text)
    case 'hold':
      return notes.write(id, text, async () => {
        say({ done: 'hold' })
        await new Promise<void>((resolve) => {
          go = resolve
        })
      })
    default:
      go()
      return undefined
  }
}

function say(answer: NoteAnswer): void {
  process.send?.(answer)
}

process.on('message', (order: NoteOrder) => {
  obey(order).then(
    () => say({ done: order.type === 'hold' ? 'go' : order.type }),
    (error: unknown) => say({ done: order.type, error: String(error) }),
  )
})
process.on('disconnect', () => process.exit())
say({ done: 'ready' })
