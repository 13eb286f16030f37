import { type FormEvent, useState } from 'react'
import { type Project, client } from './board-client.ts'
import { useAttempt } from './notices.tsx'
import { addressOf, goTo } from './place.ts'
import type { Live } from './use-live.ts'
import type { Viewer } from './viewer.ts'

interface ProjectListProps {
  readonly projects: Live<Project>
  readonly current: number | undefined
  readonly viewer: Viewer
  /** On narrow screens the list is a menu. */
  readonly shown: boolean
  readonly onChoose: () => void
}

export function ProjectList({ projects, current, viewer, shown, onChoose }: ProjectListProps) {
  return (
    <nav id="projects" className={shown ? 'projects shown' : 'projects'} aria-label="Projects">
      <h2>Projects</h2>
      <ul>
        {projects.rows.map((project) => (
          <li key={project.id}>
            <a
              href={addressOf({ projectId: project.id, taskId: undefined })}
              aria-current={project.id === current ? 'page' : undefined}
              onClick={onChoose}
            >
              <span className="project-name">{project.name}</span>
              {!project.public && (
                <span className="lock" title="private">
                  <span className="visually-hidden">private</span>
                </span>
              )}
            </a>
          </li>
        ))}
      </ul>
      {viewer.id !== undefined && <NewProject onCreated={onChoose} />}
    </nav>
  )
}

function NewProject({ onCreated }: { readonly onCreated: () => void }) {
  const [name, setName] = useState('')
  const [open, setOpen] = useState(false)
  const attempt = useAttempt()
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    void attempt(async () => {
      const { key } = await client.projects.create({ name: name.trim(), public: open })
      setName('')
      setOpen(false)
      goTo({ projectId: Number(key), taskId: undefined })
      onCreated()
    })
  }
  return (
    <form className="new-project" onSubmit={submit}>
      <input
        aria-label="Name of the new project"
        placeholder="New project …"
        maxLength={200}
        value={name}
        onChange={(event) => setName(event.target.value)}
      />
      {name.trim() !== '' && (
        <div className="new-project-more">
          <label className="check">
            <input type="checkbox" checked={open} onChange={(event) => setOpen(event.target.checked)} /> public
          </label>
          <button type="submit" className="primary">
            Create
          </button>
        </div>
      )}
    </form>
  )
}
