import { useRef } from 'react'
import { Avatar } from './avatar.tsx'
import { type Membership, type Project, type User, client } from './board-client.ts'
import { useAttempt } from './notices.tsx'
import type { Live } from './use-live.ts'
import { type Viewer, rightsOf } from './viewer.ts'

interface MembersProps {
  readonly project: Project
  readonly viewer: Viewer
  readonly users: Live<User>
  readonly memberships: Live<Membership>
}

/** The people of a project, as far as the viewer may know them; its owner adds and removes members. */
export function Members({ project, viewer, users, memberships }: MembersProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  const owner = users.get(project.ownerId)
  if (viewer.id === undefined || owner === undefined) return null
  const members = memberships.rows.filter(({ projectId }) => projectId === project.id)
  return (
    <>
      <button type="button" className="quiet people" onClick={() => dialog.current?.showModal()}>
        <Avatar id={owner.id} name={owner.name} />
        {members.map(({ id, userId }) => (
          <Avatar key={id} id={userId} name={users.get(userId)?.name ?? '?'} />
        ))}
        <span>Members</span>
      </button>
      <dialog ref={dialog} aria-labelledby="members-title">
        <h2 id="members-title">Members of {project.name}</h2>
        <MemberList project={project} owner={owner} members={members} viewer={viewer} users={users} />
        <form method="dialog" className="buttons">
          <button type="submit" className="primary">
            Done
          </button>
        </form>
      </dialog>
    </>
  )
}

interface MemberListProps {
  readonly project: Project
  readonly owner: User
  readonly members: readonly Membership[]
  readonly viewer: Viewer
  readonly users: Live<User>
}

function MemberList({ project, owner, members, viewer, users }: MemberListProps) {
  const attempt = useAttempt()
  const { writeProject } = rightsOf(viewer, project)
  const inside = new Set([owner.id, ...members.map(({ userId }) => userId)])
  const outside = users.rows.filter(({ id }) => !inside.has(id))
  return (
    <>
      <ul className="member-list">
        <li>
          <Avatar id={owner.id} name={owner.name} /> <span>{owner.name}</span> <span className="tag">owner</span>
        </li>
        {members.map(({ id, userId }) => {
          const name = users.get(userId)?.name ?? '?'
          return (
            <li key={id}>
              <Avatar id={userId} name={name} /> <span>{name}</span>
              {writeProject && (
                <button
                  type="button"
                  className="quiet"
                  aria-label={`Remove ${name}`}
                  onClick={() => void attempt(() => client.memberships.delete(id))}
                >
                  Remove
                </button>
              )}
            </li>
          )
        })}
      </ul>
      {writeProject && outside.length > 0 && (
        <div className="add-member">
          <span>Add</span>
          {outside.map((user) => (
            <button
              key={user.id}
              type="button"
              onClick={() => void attempt(() => client.memberships.create({ projectId: project.id, userId: user.id }))}
            >
              <Avatar id={user.id} name={user.name} /> {user.name}
            </button>
          ))}
        </div>
      )}
    </>
  )
}
