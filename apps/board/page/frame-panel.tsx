import type { ClientMessage, ServerMessage } from '@rtapi/core/protocol'
import { type UIEvent, useLayoutEffect, useRef, useSyncExternalStore } from 'react'
import { type LoggedMessage, frameLog } from './frame-log.ts'

/** The messages as they pass, newest last. */
export function FramePanel({ onClose }: { readonly onClose: () => void }) {
  const messages = useSyncExternalStore(frameLog.subscribe, frameLog.getSnapshot)
  const list = useRef<HTMLOListElement>(null)
  // Whoever has scrolled up to read is not pulled down.
  const follows = useRef(true)
  useLayoutEffect(() => {
    const element = list.current
    if (element !== null && follows.current) element.scrollTop = element.scrollHeight
  }, [messages])
  const noteScroll = ({ currentTarget }: UIEvent): void => {
    follows.current = currentTarget.scrollHeight - currentTarget.scrollTop - currentTarget.clientHeight < 40
  }
  return (
    <section className="frames" aria-label="Frames">
      <div className="frames-head">
        <h2>Frames</h2>
        <button type="button" className="quiet" onClick={frameLog.clear}>
          Clear
        </button>
        <button type="button" className="quiet" aria-label="Close the frames" onClick={onClose}>
          ✕
        </button>
      </div>
      <ol ref={list} tabIndex={0} aria-label="Messages" onScroll={noteScroll}>
        {messages.map((entry) => (
          <li key={entry.number}>
            <Message entry={entry} />
          </li>
        ))}
      </ol>
    </section>
  )
}

function Message({ entry: { at, direction, message } }: { readonly entry: LoggedMessage }) {
  return (
    <details className={direction}>
      <summary>
        <time>{at.toTimeString().slice(0, 8)}</time>
        <span className="arrow" title={direction === 'out' ? 'to the server' : 'from the server'}>
          {direction === 'out' ? '↑' : '↓'}
        </span>
        <b>{message.type}</b> <span className="gist">{gistOf(message)}</span>
      </summary>
      <pre>{JSON.stringify(message, null, 2)}</pre>
    </details>
  )
}

function gistOf(message: ClientMessage | ServerMessage): string {
  switch (message.type) {
    case 'request':
      return `${message.resource}.${message.action} ${JSON.stringify(message.data ?? message.key ?? '')}`
    case 'subscribe':
      return `${message.resource} ${JSON.stringify(message.where ?? message.key ?? {})}`
    case 'snapshot':
      return `${message.rows.length} rows as ${message.feed}`
    case 'changes':
      return message.changes.map(({ action, key }) => `${action} ${JSON.stringify(key)}`).join(', ')
    case 'reply':
      return message.ok ? 'ok' : `${message.error.code}: ${message.error.message}`
    case 'goodbye':
      return `${message.code} ${message.reason}`
    default:
      return 'id' in message ? message.id : ''
  }
}
