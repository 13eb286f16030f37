/**
 * The probability that two samples of one population differ as much as these or more, by the rank-sum test of Mann and
 * Whitney with its normal approximation, corrected for ties.
 */
export function samePopulation(one: readonly number[], two: readonly number[]): number {
  const all = [...one.map((value) => ({ value, isOne: true })), ...two.map((value) => ({ value, isOne: false }))]
  all.sort((a, b) => a.value - b.value)
  let rankSum = 0
  let ties = 0
  for (let start = 0; start < all.length;) {
    let end = start
    while (end < all.length && all[end]?.value === all[start]?.value) end++
    const rank = (start + 1 + end) / 2
    for (let i = start; i < end; i++) if (all[i]?.isOne === true) rankSum += rank
    ties += (end - start) ** 3 - (end - start)
    start = end
  }
  const [n, m, total] = [one.length, two.length, all.length]
  const u = rankSum - (n * (n + 1)) / 2
  const variance = ((n * m) / 12) * (total + 1 - ties / (total * (total - 1)))
  if (variance === 0) return 1
  return 2 * upperTail(Math.abs(u - (n * m) / 2) / Math.sqrt(variance))
}

/** The probability of a normal value above `z` ≥ 0 (Abramowitz and Stegun 26.2.17; exact to 7.5e-8). */
function upperTail(z: number): number {
  const t = 1 / (1 + 0.2316419 * z)
  const series = [0.31938153, -0.356563782, 1.781477937, -1.821255978, 1.330274429]
  const sum = series.reduceRight((rest, factor) => (rest + factor) * t, 0)
  return (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * sum
}
