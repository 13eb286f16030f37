/** A name as SQL. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** The name of a table as SQL. */
export function qualified({ schema = 'public', table }: { readonly schema?: string; readonly table: string }): string {
  return `${quoted(schema)}.${quoted(table)}`
}

/** A text as SQL, however the database reads backslashes. */
export function literal(text: string): string {
  const quotes = `'${text.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`
  return text.includes('\\') ? ` E${quotes}` : quotes
}
