import { type ReactNode, useEffect, useEffectEvent, useRef } from 'react'
import { type Task, type User, client } from './board-client.ts'
import { Comments } from './comments.tsx'
import { useAttempt } from './notices.tsx'
import { SavedInput, SavedText } from './saved-input.tsx'
import { stateNames, taskStates } from './task-states.ts'
import { type Live, useLive } from './use-live.ts'
import type { Viewer } from './viewer.ts'

interface TaskDrawerProps {
  readonly taskId: number
  readonly viewer: Viewer
  readonly users: Live<User>
  readonly canWrite: boolean
  readonly onClose: () => void
}

/** One task with all its fields and its comments. What one leaves is saved. */
export function TaskDrawer({ taskId, viewer, users, canWrite, onClose }: TaskDrawerProps) {
  const tasks = useLive(() => client.tasks.live({ key: taskId }), String(taskId))
  const task = tasks.rows[0]
  const close = useRef<HTMLButtonElement>(null)
  useEffect(() => {
    const before = document.activeElement
    close.current?.focus()
    return () => {
      if (before instanceof HTMLElement) before.focus()
    }
  }, [])
  const leave = useEffectEvent(onClose)
  useEffect(() => {
    const closeOnEscape = ({ key }: KeyboardEvent): void => {
      // A dialog on top, or a card on its way, is what is meant first.
      if (key === 'Escape' && document.querySelector('dialog[open], .ghost') === null) leave()
    }
    addEventListener('keydown', closeOnEscape)
    return () => removeEventListener('keydown', closeOnEscape)
  }, [])
  return (
    <aside className="drawer" role="dialog" aria-label={task?.title ?? 'Task'}>
      <div className="drawer-head">
        <span className="hint">Task {taskId}</span>
        <button ref={close} type="button" className="quiet" aria-label="Close the task" onClick={onClose}>
          ✕
        </button>
      </div>
      {task === undefined ? (
        <p className="empty">{tasks.loaded ? 'This task is gone.' : 'Loading …'}</p>
      ) : (
        <>
          <TaskForm task={task} users={users} canWrite={canWrite} onDeleted={onClose} />
          <Comments taskId={taskId} viewer={viewer} users={users} />
        </>
      )}
    </aside>
  )
}

interface TaskFormProps {
  readonly task: Task
  readonly users: Live<User>
  readonly canWrite: boolean
  readonly onDeleted: () => void
}

function TaskForm({ task, users, canWrite, onDeleted }: TaskFormProps) {
  const attempt = useAttempt()
  const save = (patch: Parameters<typeof client.tasks.update>[1]): void => {
    void attempt(() => client.tasks.update(task.id, patch))
  }
  const remove = async (): Promise<void> => {
    if (await attempt(() => client.tasks.delete(task.id))) onDeleted()
  }
  return (
    <div className="task-form">
      <SavedText
        label="Title"
        className="title"
        rows={1}
        value={task.title}
        maxLength={200}
        readOnly={!canWrite}
        onSave={(title) => title.trim() !== '' && save({ title: title.trim() })}
      />
      <fieldset className="states" disabled={!canWrite}>
        <legend className="visually-hidden">State</legend>
        {taskStates.map((state) => (
          <label key={state} className={state}>
            <input type="radio" name="state" checked={task.state === state} onChange={() => save({ state })} />
            <span className="dot" aria-hidden="true" /> {stateNames[state]}
          </label>
        ))}
      </fieldset>
      <div className="fields">
        <Field label="Assignee">
          <select
            value={task.assigneeId ?? ''}
            disabled={!canWrite}
            onChange={({ target }) => save({ assigneeId: target.value === '' ? null : Number(target.value) })}
          >
            <option value="">nobody</option>
            {users.rows.map(({ id, name }) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </select>
        </Field>
        <Field label="Points">
          <SavedInput
            type="number"
            value={task.points === null ? '' : String(task.points)}
            readOnly={!canWrite}
            onSave={(points) => save({ points: points === '' ? null : Number(points) })}
          />
        </Field>
        <Field label="Estimate">
          <SavedInput
            inputMode="decimal"
            placeholder="0.00"
            value={task.estimate === null ? '' : Number(task.estimate).toFixed(2)}
            readOnly={!canWrite}
            onSave={(estimate) => save({ estimate: estimate.trim() === '' ? null : estimate.trim() })}
          />
        </Field>
        <Field label="Due">
          <SavedInput
            type="date"
            value={task.dueAt?.slice(0, 10) ?? ''}
            readOnly={!canWrite}
            onSave={(day) => save({ dueAt: day === '' ? null : `${day}T12:00:00.000Z` })}
          />
        </Field>
      </div>
      {/* Who is not signed in has no such field. */}
      {'notes' in task && (
        <SavedText
          label="Notes"
          rows={4}
          value={task.notes ?? ''}
          maxLength={10_000}
          readOnly={!canWrite}
          onSave={(notes) => save({ notes: notes === '' ? null : notes })}
        />
      )}
      {canWrite && (
        <button type="button" className="danger" onClick={() => void remove()}>
          Delete the task
        </button>
      )}
    </div>
  )
}

function Field({ label, children }: { readonly label: string; readonly children: ReactNode }) {
  return (
    <label className="field">
      <span>{label}</span>
      {children}
    </label>
  )
}
