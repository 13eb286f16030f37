/** What a change source makes of a way to write, as the suite has seen it. */
export type PathFinding =
  /** It names the records. */
  | { readonly is: 'captured' }
  /** It says that the entity changed. */
  | { readonly is: 'coarse' }
  /** It only counts the statement. */
  | { readonly is: 'notCaptured'; readonly reason: string }
  /** The library does not write like this. */
  | { readonly is: 'none'; readonly reason: string }

/** What the suite has found in one run, by the names of the paths, in the order in which they were tried. */
export type PathFindings = ReadonlyMap<string, PathFinding>
