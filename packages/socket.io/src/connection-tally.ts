/** Attempts to join within a minute over one connection; it is closed at the next one. */
const MAX_ATTEMPTS = 20
const ATTEMPT_WINDOW = 60_000
/** Namespaces that one connection may be in at once. */
const MAX_SOCKETS = 8

/** What one Engine.IO connection has done, which may join any number of namespaces. */
export class ConnectionTally {
  private since: number
  private attempts = 0
  private sockets = 0

  constructor(now: number) {
    this.since = now
  }

  /** Counts an attempt to join. @returns which it is, of those within a minute. */
  attempt(now: number): 'first' | 'further' | 'too many' {
    const isFirst = this.attempts === 0
    if (now - this.since > ATTEMPT_WINDOW) {
      this.since = now
      this.attempts = 0
    }
    if (++this.attempts > MAX_ATTEMPTS) return 'too many'
    return isFirst ? 'first' : 'further'
  }

  get isFull(): boolean {
    return this.sockets >= MAX_SOCKETS
  }

  enter(): void {
    this.sockets++
  }

  leave(): void {
    this.sockets--
  }
}
