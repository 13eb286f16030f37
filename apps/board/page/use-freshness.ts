import { useEffect, useState } from 'react'

/** `true` for a moment after the version has become another: the eye sees what changed. */
export function useFreshness(version: number): boolean {
  const [seen, setSeen] = useState(version)
  const fresh = version !== seen
  useEffect(() => {
    if (!fresh) return undefined
    const timer = setTimeout(() => setSeen(version), 1_200)
    return () => clearTimeout(timer)
  }, [fresh, version])
  return fresh
}
