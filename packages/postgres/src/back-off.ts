const MOST = 10_000

/** Milliseconds to wait after so many failures in a row: twice as long each time, up to 10 s, and half of it by chance. */
export function backOffTime(failures: number, first: number): number {
  const most = Math.min(MOST, first * 2 ** Math.min(failures - 1, 10))
  return most / 2 + Math.random() * (most / 2)
}
