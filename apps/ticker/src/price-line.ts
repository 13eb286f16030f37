import { parseValue } from '@rtapi/core'

/** What a line of the file says: `ACME,12.5,2026-01-31T12:00:00.000Z`. */
export type Price = {
  /** 1 to 12 capital letters, digits and dots. */
  readonly symbol: string
  /** Digits of a decimal number. */
  readonly price: string
  /** When it was so; ISO 8601 in UTC. */
  readonly at: string
}

/** Prices by their symbols. */
export type Prices = ReadonlyMap<string, Price>

const SYMBOL = /^[A-Z0-9.]{1,12}$/

/** Whether this can be the symbol of a price. */
export function isSymbol(text: string): boolean {
  return SYMBOL.test(text)
}

/** Reads a file of prices: of several lines with one symbol the last one counts. Or says which line cannot be read. */
export function parsePrices(
  text: string,
): { readonly prices: Prices } | { readonly line: number; readonly problem: string } {
  const prices = new Map<string, Price>()
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue
    const price = parseLine(line)
    if (typeof price === 'string') return { line: index + 1, problem: price }
    prices.set(price.symbol, price)
  }
  return { prices }
}

/** The prices as a file: a line for each. */
export function formatPrices(prices: Iterable<Price>): string {
  return [...prices].map(({ symbol, price, at }) => `${symbol},${price},${at}\n`).join('')
}

/** The price, or what is wrong with the line. */
function parseLine(line: string): Price | string {
  const parts = line.split(',').map((part) => part.trim())
  const [symbol = '', price, at] = parts
  if (parts.length !== 3 || !isSymbol(symbol)) return 'expected SYMBOL,price,date'
  const [number, date] = [parseValue('decimal', price), parseValue('date', at)]
  if (!('value' in number)) return `the price: ${number.problem}`
  if (!('value' in date)) return `the date: ${date.problem}`
  return { symbol, price: String(number.value), at: String(date.value) }
}
