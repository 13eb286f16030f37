const tones = 6

/** A person as a coloured initial. Decoration: the name stands beside it or in the label around it. */
export function Avatar({ id, name }: { readonly id: number; readonly name: string }) {
  return (
    <span className={`avatar tone-${id % tones}`} aria-hidden="true" title={name}>
      {name.slice(0, 1).toUpperCase()}
    </span>
  )
}
