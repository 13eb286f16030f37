/** Checks an option. @throws TypeError unless it is a whole number above 0. */
export function positive(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new TypeError(`${name} is a whole number above 0, not ${value}`)
}
