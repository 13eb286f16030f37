/**
 * A date as the driver hands it over: whole milliseconds, or text such as `2026-01-31 12:00:00.123456+00`. Text without
 * a time zone is in that of the connection. It is brought into the form of ISO 8601, since the engine reads other forms
 * wrongly for the years before 100.
 * @param timezone - that of the connection: `Z`, an offset, or `local` or nothing for that of the process.
 */
export function readDate(value: unknown, timezone: string | undefined): unknown {
  if (typeof value !== 'string') return value
  const text = value.replace(' ', 'T').replace(' ', '')
  if (/([+-]\d\d(:\d\d)?|Z)$/.test(text.slice(10))) return new Date(text.replace(/([+-]\d\d)$/, '$1:00'))
  return new Date(timezone === undefined || timezone === 'local' ? text : `${text}${timezone}`)
}

/** Whether the text is a day of the calendar, such as `2026-01-31`. */
export function isDay(text: string): boolean {
  if (!/^(?!0000)\d{4}-\d\d-\d\d$/.test(text)) return false
  const date = new Date(`${text}T00:00:00Z`)
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text)
}
