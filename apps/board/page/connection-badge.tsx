import { useEffect, useRef, useState, useSyncExternalStore } from 'react'
import { client } from './board-client.ts'

const labels = {
  idle: 'offline',
  connecting: 'connecting',
  live: 'live',
  resumed: 'resumed',
  reloaded: 'reloaded',
  reconnecting: 'reconnecting',
  closed: 'disconnected',
} as const

/**
 * Says how the connection is: live, reconnecting, and for a while after it came back whether the views went on from
 * where they were (resumed) or were taken anew (reloaded).
 */
export function ConnectionBadge() {
  const { status, error, transport, recovery } = useSyncExternalStore(
    client.connection.subscribe,
    client.connection.getSnapshot,
  )
  const cameBack = useCameBack(status)
  const waiting = status === 'connecting' || status === 'reconnecting'
  const stuck = useLasting(waiting, 4_000)
  const recovered =
    recovery === undefined || recovery.waiting > 0 ? undefined : recovery.reset > 0 ? 'reloaded' : 'resumed'
  const shown = (cameBack && recovered) || status
  return (
    <div className={`badge ${shown}`} role="status">
      <span className="dot" aria-hidden="true" />
      <span title={transport === undefined ? undefined : `over ${transport}`}>
        {stuck ? 'cannot connect, trying again' : labels[shown]}
      </span>
      {status === 'closed' && (
        <button title={error?.message} type="button" className="quiet" onClick={() => client.connect()}>
          Connect
        </button>
      )}
    </div>
  )
}

/** Whether something has been so for that many milliseconds. */
function useLasting(now: boolean, milliseconds: number): boolean {
  const [lasting, setLasting] = useState(false)
  useEffect(() => {
    setLasting(false)
    if (!now) return undefined
    const timer = setTimeout(() => setLasting(true), milliseconds)
    return () => clearTimeout(timer)
  }, [now, milliseconds])
  return lasting
}

/** Whether the connection was lost and came back within the last seconds. */
function useCameBack(status: string): boolean {
  const [cameBack, setCameBack] = useState(false)
  const before = useRef(status)
  useEffect(() => {
    const lost = before.current === 'reconnecting'
    before.current = status
    if (status !== 'live' || !lost) return setCameBack(false)
    setCameBack(true)
    const timer = setTimeout(() => setCameBack(false), 5_000)
    return () => clearTimeout(timer)
  }, [status])
  return cameBack
}
