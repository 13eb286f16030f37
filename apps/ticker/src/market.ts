import { type Report, RtapiError } from '@rtapi/core'
import type { PriceFile } from './price-file.ts'

/**
 * Moves one price after the other, as a market would.
 * @param interval - milliseconds between two prices; 0: none at all.
 * @returns the undo.
 */
export function startMarket(file: PriceFile, interval: number, report: Report): () => void {
  if (!(interval > 0)) return () => undefined
  const timer = setInterval(() => {
    move(file).catch((error: unknown) => {
      // Whoever reads the file has said so already.
      const isUnreadable = error instanceof RtapiError && error.code === 'unavailable'
      if (!isUnreadable) report(error, { during: 'ticker.market' })
    })
  }, interval)
  return () => clearInterval(timer)
}

async function move(file: PriceFile): Promise<void> {
  await file.change((prices) => {
    const all = [...prices.values()]
    const chosen = all[Math.floor(Math.random() * all.length)]
    if (chosen === undefined) return undefined
    const moved = Math.max(0.01, Number(chosen.price) * (0.97 + Math.random() * 0.06))
    const price = { ...chosen, price: String(Number(moved.toFixed(2))), at: new Date().toISOString() }
    return new Map(prices).set(price.symbol, price)
  })
}
