import type { MaybePromise } from '@rtapi/core'

/** A token, `null` for nobody, or what answers one: it is asked at each connect, and when the session is about to expire. */
export type TokenSource = string | null | (() => MaybePromise<string | null>)

/** The client's credentials, as they are now. */
export class Credentials {
  #source: TokenSource
  /** Grows when other credentials are set: a token asked for before that is out of date. */
  version = 0

  constructor(source: TokenSource) {
    this.#source = source
  }

  /** Asking again may answer another token. */
  get renewable(): boolean {
    return typeof this.#source === 'function'
  }

  set(source: TokenSource): void {
    this.#source = source
    this.version++
  }

  /** The token, without a wait where there is none. */
  ask(): MaybePromise<string | null> {
    return typeof this.#source === 'function' ? this.#source() : this.#source
  }
}
