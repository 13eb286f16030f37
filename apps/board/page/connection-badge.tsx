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

const transportNames: Readonly<Record<string, string>> = { ws: 'WebSocket', 'long-polling': 'polling' }

/**
 * Says how the connection is: live, reconnecting, and for a while after it came back whether the views went on from
 * where they were (resumed) or were taken anew (reloaded). Also that another transport than the first has to do, and
 * for a while that the first is in use again.
 */
export function ConnectionBadge() {
  const { status, error, transport, fallback, recovery } = useSyncExternalStore(
    client.connection.subscribe,
    client.connection.getSnapshot,
  )
  const cameBack = useLately(status, 'reconnecting', 'live')
  const waiting = status === 'connecting' || status === 'reconnecting'
  const stuck = useLasting(waiting, 4_000)
  const recovered =
    recovery === undefined || recovery.waiting > 0 ? undefined : recovery.reset > 0 ? 'reloaded' : 'resumed'
  const shown = (cameBack && recovered) || status
  const name = transport && (transportNames[transport] ?? transport)
  const isBack = useLately(fallback === undefined ? 'preferred' : 'fallback', 'fallback', 'preferred')
  return (
    <div className={`badge ${shown}`} role="status">
      <span className="dot" aria-hidden="true" />
      <span className="label" title={name && `over ${name}`}>
        {stuck ? 'cannot connect, trying again' : labels[shown]}
      </span>
      {status === 'live' && fallback !== undefined && (
        <span
          className="transport"
          title={`${transportNames[fallback.from] ?? fallback.from} does not get through: ${fallback.error?.message ?? 'it is tried again now and then'}`}
        >
          by {name}
        </span>
      )}
      {status === 'live' && isBack && <span className="transport back">by {name} again</span>}
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

/** Whether the value has gone from one to the other within the last seconds. */
function useLately(value: string, from: string, to: string): boolean {
  const [lately, setLately] = useState(false)
  const before = useRef(value)
  useEffect(() => {
    const left = before.current
    before.current = value
    if (value !== to || left !== from) return setLately(false)
    setLately(true)
    const timer = setTimeout(() => setLately(false), 5_000)
    return () => clearTimeout(timer)
  }, [value, from, to])
  return lately
}
