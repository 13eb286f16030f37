import { type ReactNode, createContext, useCallback, useContext, useEffect, useRef, useState } from 'react'

/** Runs what may fail; a failure is shown to the person. Answers whether it went well. */
export type Attempt = (work: () => Promise<unknown>) => Promise<boolean>

const AttemptContext = createContext<Attempt>(async () => false)
const AnnounceContext = createContext<(text: string) => void>(() => undefined)

/** Runs an action of the person and shows what went wrong. */
export function useAttempt(): Attempt {
  return useContext(AttemptContext)
}

/** Says something to those who do not see it happen. */
export function useAnnounce(): (text: string) => void {
  return useContext(AnnounceContext)
}

export function NoticeProvider({ children }: { readonly children: ReactNode }) {
  const [problem, setProblem] = useState<string>()
  const [announcement, announce] = useState('')
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  const attempt = useCallback<Attempt>(async (work) => {
    try {
      await work()
      setProblem(undefined)
      return true
    } catch (error) {
      clearTimeout(timer.current)
      timer.current = setTimeout(() => setProblem(undefined), 8_000)
      setProblem(messageOf(error))
      return false
    }
  }, [])
  useEffect(() => () => clearTimeout(timer.current), [])

  return (
    <AttemptContext value={attempt}>
      <AnnounceContext value={announce}>
        {children}
        <div className="notices">
          <p role="status" className="visually-hidden">
            {announcement}
          </p>
          <div role="alert">
            {problem !== undefined && (
              <p className="problem">
                {problem}
                <button type="button" className="quiet" aria-label="Dismiss" onClick={() => setProblem(undefined)}>
                  ✕
                </button>
              </p>
            )}
          </div>
        </div>
      </AnnounceContext>
    </AttemptContext>
  )
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return 'Something went wrong.'
  const details = 'details' in error && Array.isArray(error.details) ? (error.details as readonly Detail[]) : []
  if (details.length === 0) return error.message
  return details.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')
}

interface Detail {
  readonly path: readonly (string | number)[]
  readonly message: string
}
