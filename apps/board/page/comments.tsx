import { type FormEvent, useState } from 'react'
import { Avatar } from './avatar.tsx'
import { type Comment, type User, client } from './board-client.ts'
import { useAttempt } from './notices.tsx'
import { type Live, useLive } from './use-live.ts'
import type { Viewer } from './viewer.ts'

interface CommentsProps {
  readonly taskId: number
  readonly viewer: Viewer
  readonly users: Live<User>
}

export function Comments({ taskId, viewer, users }: CommentsProps) {
  const comments = useLive(
    () => client.comments.live({ params: { taskId }, order: { createdAt: 'asc' } }),
    String(taskId),
  )
  return (
    <section className="comments" aria-label="Comments">
      <h3>
        Comments <span className="count">{comments.rows.length}</span>
      </h3>
      <ol>
        {comments.rows.map((comment) => (
          <CommentItem
            key={comment.id}
            comment={comment}
            author={users.get(comment.authorId)}
            canWrite={viewer.admin || comment.authorId === viewer.id}
          />
        ))}
      </ol>
      {viewer.id === undefined ? <p className="hint">Sign in to comment.</p> : <NewComment taskId={taskId} />}
    </section>
  )
}

interface CommentItemProps {
  readonly comment: Comment
  readonly author: User | undefined
  readonly canWrite: boolean
}

function CommentItem({ comment, author, canWrite }: CommentItemProps) {
  const attempt = useAttempt()
  const name = author?.name ?? 'somebody'
  return (
    <li>
      <Avatar id={comment.authorId} name={name} />
      <div className="comment-body">
        <p className="comment-head">
          <b>{name}</b>{' '}
          <time dateTime={comment.createdAt}>
            {new Date(comment.createdAt).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' })}
          </time>
          {canWrite && (
            <button
              type="button"
              className="quiet"
              aria-label={`Delete the comment of ${name}`}
              onClick={() => void attempt(() => client.comments.delete(comment.id))}
            >
              Delete
            </button>
          )}
        </p>
        <p className="comment-text">{comment.text}</p>
      </div>
    </li>
  )
}

function NewComment({ taskId }: { readonly taskId: number }) {
  const [text, setText] = useState('')
  const attempt = useAttempt()
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (text.trim() === '') return
    void attempt(() => client.comments.create({ taskId, text })).then((created) => created && setText(''))
  }
  return (
    <form className="new-comment" onSubmit={submit}>
      <textarea
        aria-label="New comment"
        placeholder="Write a comment …"
        rows={2}
        maxLength={2_000}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return
          event.currentTarget.form?.requestSubmit()
        }}
      />
      <button type="submit" className="primary" disabled={text.trim() === ''}>
        Comment
      </button>
    </form>
  )
}
