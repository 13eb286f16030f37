import {
  type Api,
  type ApiOptions,
  type Codec,
  type Json,
  type MemoryStore,
  type Permission,
  RtapiError,
  type Session,
  type User,
  createApi,
  defineResource,
  isAdmin,
  jsonCodec,
  memoryStore,
  some,
} from '@rtapi/core'

/** What attackers are after. */
export type AttackedNote = {
  id: number
  owner: string
  text: string
  code: string | null
  count: number | null
  big: string | null
  price: string | null
  at: string | null
  extra: Json
  secret: string
}

/** A record with a version, of which anonymous sessions see only what is public. */
type AttackedPage = { id: number; text: string; version: number }

/** What an attacker meets: notes that one owns or that are open, with a field that only administrators see. */
export interface AttackWorld {
  readonly api: Api
  readonly notes: MemoryStore<AttackedNote>
  /** What the operator was told. */
  readonly reports: string[]
  /** Sessions that are over, by the token that they were opened with. */
  readonly ended: Set<string>
}

export interface AttackWorldOptions extends Partial<ApiOptions<never>> {
  /** @default one's own notes and those of `public`, without `secret`; all for administrators */
  readonly rules?: readonly Permission<AttackedNote>[]
}

const fields = ['owner', 'text', 'code', 'count', 'big', 'price', 'at', 'extra'] as const

const mine: Permission<AttackedNote> = some<AttackedNote, User>(isAdmin, {
  scope: ({ session }) => ({ or: [{ owner: String(session.user?.id) }, { owner: 'public' }] }),
  fields: () => ['id', ...fields],
  allowsRecord: ({ session }, { owner }) => owner === session.user?.id,
})

/**
 * Note 1 is ada's, note 2 bob's and note 3 open; page 1 is for those who are signed in. Of `vault` only root knows. A
 * token is a name in small letters, in `hello` or in the header `Authorization`; that of `brief` holds for 1.5 s.
 */
export function openAttackWorld({ rules = [mine], ...options }: AttackWorldOptions = {}): AttackWorld {
  const reports: string[] = []
  const ended = new Set<string>()
  const notes = memoryStore<AttackedNote>({
    entity: 'Note',
    fields: {
      id: 'integer',
      owner: 'string',
      text: 'string',
      code: { type: 'string', nullable: true },
      count: { type: 'integer', nullable: true },
      big: { type: 'bigint', nullable: true },
      price: { type: 'decimal', nullable: true },
      at: { type: 'date', nullable: true },
      extra: { type: 'json', nullable: true },
      secret: 'string',
    },
    defaults: { secret: () => 'SECRET-NEW' },
    unique: [['code']],
    rows: (['ada', 'bob', 'public'] as const).map((owner, i) => ({
      id: i + 1,
      owner,
      text: `text of ${owner}`,
      code: `code of ${owner}`,
      count: i,
      big: String(i),
      price: `${i}.5`,
      at: null,
      extra: null,
      secret: `SECRET-${owner}`,
    })),
  })
  const pages = memoryStore<AttackedPage>({
    entity: 'Page',
    fields: { id: 'integer', text: 'string', version: 'integer' },
    version: 'version',
    rows: [{ id: 1, text: 'a', version: 1 }],
  })
  const signedIn: Permission<AttackedPage> = { scope: ({ session }) => session.user !== null || { text: 'public' } }
  const api = createApi({
    resources: [
      defineResource('notes', { store: notes, permissions: rules, input: { create: fields, update: fields } }),
      defineResource('pages', {
        store: pages,
        version: 'version',
        permissions: [signedIn],
        input: { update: ['text'] },
      }),
      defineResource('vault', { store: notes, permissions: [isAdmin] }),
    ],
    changes: [notes, pages],
    authenticate({ token, headers }): Session | null {
      const { authorization } = headers
      const name = token === undefined && typeof authorization === 'string' ? authorization.slice(7) : token
      if (name === undefined || name === null) return null
      if (!/^[a-z]+$/.test(name) || ended.has(name)) throw new RtapiError('unauthenticated', 'no such token')
      const user = { id: name, role: name === 'root' ? 'admin' : 'member' }
      return { user, id: `session of ${name}`, ...(name === 'brief' ? { expiresAt: api.clock.now() + 1_500 } : {}) }
    },
    report: (error, { during }) => reports.push(`${during}: ${String(error)}`),
    ...options,
  })
  return { api, notes, reports, ended }
}

/** The codecs of an API that is attacked by this one. */
export function codecsWith(codec: Codec): readonly Codec[] {
  return codec.name === 'json' ? [codec] : [jsonCodec, codec]
}
