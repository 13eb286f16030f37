/** The names under which Redis knows one group. All hash to one slot of a cluster. */
export interface GroupKeys {
  /** A hash: epoch, run of the server, number and tag of the last entry, bytes logged so far. */
  readonly meta: string
  /** A stream: the entries, each with its number as the id. */
  readonly log: string
  readonly channel: string
}

const PREFIX = /^[A-Za-z0-9_.:/-]{1,64}$/

/** @throws TypeError if the prefix could not be told from a group's name, or would change its slot. */
export function checkPrefix(prefix: string): string {
  if (PREFIX.test(prefix)) return prefix
  throw new TypeError(`a prefix is 1 to 64 letters, digits or _ . : / - and not ${JSON.stringify(prefix)}`)
}

/** The keys of a group. Different groups have different keys: what would end the hash tag early is escaped. */
export function groupKeys(prefix: string, name: string): GroupKeys {
  const tag = name.replace(/[%{}]/g, (char) => `%${char.charCodeAt(0).toString(16)}`)
  const channel = `${prefix}:{${tag}}`
  return { channel, meta: `${channel}:meta`, log: `${channel}:log` }
}
