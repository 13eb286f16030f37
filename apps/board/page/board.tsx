import { type FormEvent, useEffect, useRef, useState } from 'react'
import { type Project, type Task, type TaskState, type User, client } from './board-client.ts'
import { useAnnounce, useAttempt } from './notices.tsx'
import { CardFacts, TaskCard, gripId } from './task-card.tsx'
import { neighbour, stateNames, taskStates } from './task-states.ts'
import { useCardDrag } from './use-card-drag.ts'
import { type Live, useLive } from './use-live.ts'

interface BoardProps {
  readonly project: Project
  readonly users: Live<User>
  readonly canWrite: boolean
}

/** The tasks of a project, a column for each state. */
export function Board({ project, users, canWrite }: BoardProps) {
  const tasks = useLive(
    () => client.tasks.live({ where: { projectId: project.id }, order: { createdAt: 'asc' } }),
    String(project.id),
  )
  const { stateOf, moveTo } = useMoves(tasks)
  const { drag, grab } = useCardDrag(moveTo)
  const refocus = useRef<number>(undefined)

  const nudge = (task: Task, direction: -1 | 1): void => {
    const state = neighbour(stateOf(task), direction)
    if (state === undefined) return
    refocus.current = task.id
    moveTo(task, state)
  }
  // A card that goes to another column is another element there; the keyboard goes with it.
  useEffect(() => {
    if (refocus.current === undefined) return
    document.getElementById(gripId(refocus.current))?.focus()
    refocus.current = undefined
  })

  return (
    <div className={drag === undefined ? 'columns' : 'columns dragging'} aria-busy={!tasks.loaded}>
      {taskStates.map((state) => {
        const cards = tasks.rows.filter((task) => stateOf(task) === state)
        return (
          <section
            key={state}
            className={drag?.over === state ? `column ${state} over` : `column ${state}`}
            data-state={state}
            aria-label={stateNames[state]}
          >
            <h2>
              <span className="dot" aria-hidden="true" /> {stateNames[state]}
              <span className="count">{cards.length}</span>
            </h2>
            <ul>
              {cards.map((task) => (
                <TaskCard
                  key={task.id}
                  task={task}
                  assignee={task.assigneeId === null ? undefined : users.get(task.assigneeId)}
                  canWrite={canWrite}
                  lifted={drag?.task.id === task.id}
                  onGrab={(event) => grab(task, event)}
                  onNudge={(direction) => nudge(task, direction)}
                />
              ))}
            </ul>
            {canWrite && <NewTask projectId={project.id} state={state} />}
          </section>
        )
      })}
      {drag !== undefined && (
        <div className="card ghost" style={{ left: drag.left, top: drag.top, width: drag.width }} aria-hidden="true">
          <span className="card-title">{drag.task.title}</span>
          <CardFacts
            task={drag.task}
            assignee={drag.task.assigneeId === null ? undefined : users.get(drag.task.assigneeId)}
          />
        </div>
      )}
    </div>
  )
}

/** Moves cards at once on this screen, and takes a move back if the server refuses it. */
function useMoves(tasks: Live<Task>): {
  readonly stateOf: (task: Task) => TaskState
  readonly moveTo: (task: Task, state: TaskState) => void
} {
  const [moves, setMoves] = useState<ReadonlyMap<number, TaskState>>(new Map())
  const attempt = useAttempt()
  const announce = useAnnounce()

  const moveTo = (task: Task, state: TaskState): void => {
    if (tasks.get(task.id)?.state === state) return
    setMoves((moves) => new Map(moves).set(task.id, state))
    void attempt(() => client.tasks.update(task.id, { state })).then((moved) => {
      if (moved) announce(`${task.title} is now in ${stateNames[state]}`)
      setMoves((moves) => {
        // A later move of the same card is still on its way.
        if (moves.get(task.id) !== state) return moves
        const rest = new Map(moves)
        rest.delete(task.id)
        return rest
      })
    })
  }
  return { stateOf: (task) => moves.get(task.id) ?? task.state, moveTo }
}

function NewTask({ projectId, state }: { readonly projectId: number; readonly state: TaskState }) {
  const [title, setTitle] = useState('')
  const attempt = useAttempt()
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (title.trim() === '') return
    const wanted = title
    setTitle('')
    void attempt(() => client.tasks.create({ projectId, state, title: wanted.trim() })).then((created) => {
      if (!created) setTitle((now) => (now === '' ? wanted : now))
    })
  }
  return (
    <form className="new-task" onSubmit={submit}>
      <input
        aria-label={`New task in ${stateNames[state]}`}
        placeholder="Add a task …"
        maxLength={200}
        value={title}
        onChange={(event) => setTitle(event.target.value)}
      />
    </form>
  )
}
