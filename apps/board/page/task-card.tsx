import type { KeyboardEvent, PointerEvent } from 'react'
import { Avatar } from './avatar.tsx'
import type { Task, User } from './board-client.ts'
import { addressOf } from './place.ts'
import { useFreshness } from './use-freshness.ts'

interface TaskCardProps {
  readonly task: Task
  readonly assignee: User | undefined
  readonly canWrite: boolean
  readonly lifted: boolean
  readonly onGrab: (event: PointerEvent<HTMLElement>) => void
  readonly onNudge: (direction: -1 | 1) => void
}

export function TaskCard({ task, assignee, canWrite, lifted, onGrab, onNudge }: TaskCardProps) {
  const fresh = useFreshness(task.version)
  const nudge = (event: KeyboardEvent): void => {
    const direction = event.key === 'ArrowLeft' ? -1 : event.key === 'ArrowRight' ? 1 : undefined
    if (direction === undefined) return
    event.preventDefault()
    onNudge(direction)
  }
  const classes = ['card', canWrite ? 'movable' : '', lifted ? 'lifted' : '', fresh ? 'fresh' : '']
  return (
    <li
      className={classes.filter(Boolean).join(' ')}
      data-task={task.id}
      // A finger on the card scrolls; it drags by the grip.
      onPointerDown={(event) => canWrite && event.pointerType !== 'touch' && onGrab(event)}
    >
      <a className="card-title" draggable={false} href={addressOf({ projectId: task.projectId, taskId: task.id })}>
        {task.title}
      </a>
      {canWrite && (
        <button
          type="button"
          id={gripId(task.id)}
          className="grip"
          aria-label={`Move ${task.title}`}
          aria-description="Press the left or right arrow key"
          onKeyDown={nudge}
          onPointerDown={(event) => {
            event.stopPropagation()
            onGrab(event)
          }}
        >
          <span aria-hidden="true">⠿</span>
        </button>
      )}
      <CardFacts task={task} assignee={assignee} />
    </li>
  )
}

/** The small print of a card. */
export function CardFacts({ task, assignee }: { readonly task: Task; readonly assignee: User | undefined }) {
  const overdue = task.dueAt !== null && task.state !== 'done' && Date.parse(task.dueAt) < Date.now()
  return (
    <p className="facts">
      {task.points !== null && <span className="points" title="points">{`${task.points} pt`}</span>}
      {task.estimate !== null && <span title="estimate">{Number(task.estimate).toFixed(2)}</span>}
      {task.dueAt !== null && (
        <time dateTime={task.dueAt} className={overdue ? 'overdue' : ''} title={overdue ? 'overdue' : 'due'}>
          {new Date(task.dueAt).toLocaleDateString(undefined, { day: 'numeric', month: 'short', year: 'numeric' })}
        </time>
      )}
      {assignee !== undefined && (
        <span className="assignee">
          <Avatar id={assignee.id} name={assignee.name} />
          <span className="visually-hidden">assigned to {assignee.name}</span>
        </span>
      )}
    </p>
  )
}

/** The id of a card's grip, by which the focus follows a card into another column. */
export function gripId(taskId: number): string {
  return `grip-${taskId}`
}
