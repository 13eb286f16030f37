import { watch } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { type Report, RtapiError } from '@rtapi/core'
import { type Price, type Prices, formatPrices, parsePrices } from './price-line.ts'

/** One symbol that is not what it was. */
interface PriceChange {
  readonly before: Price | undefined
  readonly after: Price | undefined
}

/** Hears of each new state of the file, once it is the state that is read. */
export type PriceListener = (tx: string, changes: readonly PriceChange[]) => void

/**
 * Prices in a text file which anybody may write to: this program, an editor, `echo … >> prices.csv`. The last state that
 * could be read is the state; one that cannot, because somebody is in the middle of writing, is reported and left alone.
 */
export class PriceFile {
  readonly #path: string
  readonly #report: Report
  #prices: Prices = new Map()
  #text = ''
  #listener: PriceListener | undefined
  #count = 0
  /** What reads and writes the file, one after the other. */
  #last: Promise<unknown> = Promise.resolve()
  #stopWatching: (() => void) | undefined

  private constructor(path: string, report: Report) {
    this.#path = path
    this.#report = report
  }

  /**
   * Opens the file and watches it; makes it, with these prices, if there is none.
   * @throws Error if it cannot be read.
   */
  static async open(path: string, seed: readonly Price[], report: Report): Promise<PriceFile> {
    const file = new PriceFile(path, report)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, formatPrices(seed), { flag: 'wx' }).catch(ignoreExisting)
    // The folder is watched, since editors put a new file in the place of the old one.
    const watcher = watch(dirname(path), (_, name) => {
      if (name === null || name === basename(path)) file.#look()
    })
    watcher.on('error', (error) => report(error, { during: 'ticker.watch' }))
    file.#stopWatching = () => watcher.close()
    try {
      await file.#queue(() => file.#read())
    } catch (error) {
      file.close()
      throw error
    }
    return file
  }

  /** The prices by their symbols. */
  get prices(): Prices {
    return this.#prices
  }

  /** Tells this listener of changes from now on; there is one at a time. */
  listen(listener: PriceListener | undefined): void {
    this.#listener = listener
  }

  /**
   * Writes what the edit makes of the prices; an edit that answers `undefined` writes nothing. Edits come one after the
   * other, each on the newest state. Resolves with the name of the change when everybody has been told.
   */
  change(edit: (prices: Prices) => Prices | undefined): Promise<string | undefined> {
    return this.#queue(async () => {
      // Somebody else may have written, and we have not heard of it yet.
      await this.#read()
      const edited = edit(this.#prices)
      if (edited === undefined) return undefined
      const text = formatPrices(edited.values())
      const draft = join(dirname(this.#path), `.${basename(this.#path)}.draft`)
      await writeFile(draft, text)
      await rename(draft, this.#path)
      return this.#take(text, edited)
    })
  }

  /** Lets go of the file. */
  close(): void {
    this.#stopWatching?.()
    this.#listener = undefined
  }

  #look(): void {
    this.#queue(() => this.#read()).catch((error: unknown) => this.#report(error, { during: 'ticker.read' }))
  }

  async #read(): Promise<void> {
    const text = await readFile(this.#path, 'utf8')
    if (text === this.#text) return
    const read = parsePrices(text)
    if ('problem' in read) {
      // Clients are not told what is in the file.
      const cause = new Error(`${basename(this.#path)}, line ${read.line}: ${read.problem}`)
      throw new RtapiError('unavailable', 'The prices cannot be read now.', { cause })
    }
    this.#take(text, read.prices)
  }

  /** Makes these prices the state, and tells what has changed. */
  #take(text: string, prices: Prices): string {
    const before = this.#prices
    this.#prices = prices
    this.#text = text
    const tx = `file-${++this.#count}`
    const changes = [...new Set([...before.keys(), ...prices.keys()])]
      .map((symbol) => ({ before: before.get(symbol), after: prices.get(symbol) }))
      .filter((change) => !isSame(change))
    if (changes.length > 0) this.#listener?.(tx, changes)
    return tx
  }

  #queue<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => undefined)
    return done
  }
}

function isSame({ before, after }: PriceChange): boolean {
  return before?.price === after?.price && before?.at === after?.at && before?.symbol === after?.symbol
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error
}
