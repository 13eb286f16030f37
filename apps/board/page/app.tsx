import { useEffect, useState, useSyncExternalStore } from 'react'
import { type Project, client } from './board-client.ts'
import { Board } from './board.tsx'
import { ConnectionBadge } from './connection-badge.tsx'
import { FramePanel } from './frame-panel.tsx'
import { Members } from './members.tsx'
import { NoticeProvider } from './notices.tsx'
import { goTo, stayAt, usePlace } from './place.ts'
import { ProjectList } from './project-list.tsx'
import { SignInMenu } from './sign-in-menu.tsx'
import { TaskDrawer } from './task-drawer.tsx'
import { useLive } from './use-live.ts'
import { rightsOf, useViewer } from './viewer.ts'

export function App() {
  return (
    <NoticeProvider>
      <Window />
    </NoticeProvider>
  )
}

function Window() {
  const place = usePlace()
  const [framesShown, showFrames] = useState(false)
  const [menuShown, showMenu] = useState(false)
  const { user } = useSyncExternalStore(client.connection.subscribe, client.connection.getSnapshot)
  const signedIn = user !== undefined
  const projects = useLive(() => client.projects.live({ order: { name: 'asc' } }), 'projects')
  const users = useLive(signedIn ? () => client.users.live({ order: { name: 'asc' } }) : undefined, 'users')
  const memberships = useLive(signedIn ? () => client.memberships.live() : undefined, 'memberships')
  const viewer = useViewer(user, users, memberships)

  const project = shownProject(projects.rows, place.projectId)
  // Another project may come first when somebody signs in: what is shown stays.
  const shownByDefault = place.projectId === undefined ? project?.id : undefined
  useEffect(() => {
    if (shownByDefault !== undefined) stayAt({ projectId: shownByDefault, taskId: undefined })
  }, [shownByDefault])
  const rights = rightsOf(viewer, project)

  return (
    <div className={framesShown ? 'window with-frames' : 'window'}>
      <header className="top">
        <button
          type="button"
          className="quiet menu-button"
          aria-expanded={menuShown}
          aria-controls="projects"
          onClick={() => showMenu(!menuShown)}
        >
          <span aria-hidden="true">☰</span> <span className="visually-hidden">Projects</span>
        </button>
        <p className="brand">
          <span>Board</span>
        </p>
        <div className="top-right">
          <ConnectionBadge />
          <button type="button" className="quiet" aria-pressed={framesShown} onClick={() => showFrames(!framesShown)}>
            Frames
          </button>
          <SignInMenu viewer={viewer} />
        </div>
      </header>
      <ProjectList
        projects={projects}
        current={project?.id}
        viewer={viewer}
        shown={menuShown}
        onChoose={() => showMenu(false)}
      />
      <main>
        {project === undefined ? (
          <p className="empty">{projects.loaded ? emptyText(viewer.id) : 'Loading …'}</p>
        ) : (
          <>
            <div className="project-head">
              <h1>{project.name}</h1>
              <span className="tag">{project.public ? 'public' : 'private'}</span>
              <Members project={project} viewer={viewer} users={users} memberships={memberships} />
            </div>
            <Board key={project.id} project={project} users={users} canWrite={rights.writeTasks} />
          </>
        )}
      </main>
      {project !== undefined && place.taskId !== undefined && (
        <TaskDrawer
          key={place.taskId}
          taskId={place.taskId}
          viewer={viewer}
          users={users}
          canWrite={rights.writeTasks}
          onClose={() => goTo({ projectId: project.id, taskId: undefined })}
        />
      )}
      {framesShown && <FramePanel onClose={() => showFrames(false)} />}
    </div>
  )
}

/** The project of the address; without one, the first. */
function shownProject(projects: readonly Project[], id: number | undefined): Project | undefined {
  return id === undefined ? projects[0] : projects.find((project) => project.id === id)
}

function emptyText(userId: number | undefined): string {
  return userId === undefined
    ? 'There is nothing here that everybody may see. Sign in to see your projects.'
    : 'There is no such project for you. Choose another, or create one.'
}
