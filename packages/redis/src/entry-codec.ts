import { createHmac, timingSafeEqual } from 'node:crypto'
import { type LayerEntry, RtapiError } from '@rtapi/core'
import { parseEntry } from './layer-entry-form.ts'
import { randomText } from './random-text.ts'

/** An entry as it is logged: `<tag>:<signature>:<JSON>`, the signature empty if there is no secret. */
export interface EncodedEntry {
  readonly tag: string
  readonly body: string
}

export interface DecodedEntry {
  readonly tag: string
  readonly entry: LayerEntry
}

const BODY = /^([A-Za-z0-9_-]{1,16}):([A-Za-z0-9_-]{0,64}):/
/** 36 bits: what tells two entries apart that were given the same number. */
const TAG_LENGTH = 6
/** Characters of the signature that are sent: 192 bits. */
const SIGNATURE_LENGTH = 32

/** Writes entries for the log of a group and reads them. */
export class EntryCodec {
  readonly #secrets: readonly string[]
  readonly #size: number

  /**
   * @param secrets - the first signs, all verify; none: nothing is signed.
   * @param size - characters of the longest entry.
   */
  constructor(secrets: readonly string[], size: number) {
    this.#secrets = secrets
    this.#size = size
  }

  /** @throws RtapiError `limit_exceeded` if the entry is too long. */
  encode(group: string, entry: LayerEntry): EncodedEntry {
    const json = JSON.stringify(entry)
    if (json.length > this.#size)
      throw new RtapiError(
        'limit_exceeded',
        `the entry has ${json.length} characters, at most ${this.#size} may be published`,
      )
    const tag = randomText(TAG_LENGTH)
    const [secret] = this.#secrets
    return { tag, body: `${tag}:${secret === undefined ? '' : sign(secret, group, tag, json)}:${json}` }
  }

  /** The entry, if it is one, is not too long, and was signed by somebody who knows a secret. */
  decode(group: string, body: string): DecodedEntry | undefined {
    const head = BODY.exec(body)
    if (head === null) return undefined
    const [start, tag = '', signature = ''] = head
    if (body.length - start.length > this.#size) return undefined
    const json = body.slice(start.length)
    if (this.#secrets.length > 0 && !this.#isSigned(signature, group, tag, json)) return undefined
    const entry = parseEntry(json)
    return entry === undefined ? undefined : { tag, entry }
  }

  #isSigned(signature: string, group: string, tag: string, json: string): boolean {
    const given = Buffer.from(signature)
    return this.#secrets.some((secret) => {
      const right = Buffer.from(sign(secret, group, tag, json))
      return given.length === right.length && timingSafeEqual(given, right)
    })
  }
}

/** The group is signed too, so that an entry cannot be moved to another one.. */
function sign(secret: string, group: string, tag: string, json: string): string {
  return createHmac('sha256', secret)
    .update(`${group.length}:${group}:${tag}:${json}`)
    .digest('base64url')
    .slice(0, SIGNATURE_LENGTH)
}
