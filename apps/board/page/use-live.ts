import type { LiveView } from '@rtapi/client'
import { useEffect, useState, useSyncExternalStore } from 'react'

/** What a component needs of a live view. */
export interface Live<R> {
  readonly rows: readonly R[]
  /** The rows are whole, or were before the connection was lost. */
  readonly loaded: boolean
  readonly get: (key: number) => R | undefined
}

const nothing: readonly never[] = []
const never = (): (() => void) => () => undefined
const none = (): readonly never[] => nothing

/**
 * The rows of a live view, current at each render.
 * @param open - opens the view; `undefined` while there is nothing to show.
 * @param key - names the query: another one closes the view and opens the next.
 */
export function useLive<R>(open: (() => LiveView<R>) | undefined, key: string): Live<R> {
  const [opened, setOpened] = useState<{ readonly key: string; readonly view: LiveView<R> }>()
  const wanted = open !== undefined
  useEffect(() => {
    if (!wanted) return undefined
    const view = open()
    setOpened({ key, view })
    return () => {
      setOpened(undefined)
      view.close()
    }
    // `open` is another function at each render; `key` says when it asks for something else.
  }, [key, wanted])
  const view = opened?.key === key ? opened.view : undefined
  const subscribe = view?.subscribe ?? never
  const rows = useSyncExternalStore<readonly R[]>(subscribe, view?.getSnapshot ?? none)
  const status = useSyncExternalStore(subscribe, () => view?.status)
  return { rows, loaded: status === 'live' || status === 'stale', get: (id) => view?.get(id) }
}
