import { type FormEvent, useRef, useState } from 'react'
import { Avatar } from './avatar.tsx'
import { client } from './board-client.ts'
import { useAttempt } from './notices.tsx'
import { forgetToken, signIn, signOut } from './sign-in.ts'
import type { Viewer } from './viewer.ts'

const seeded = ['alice', 'bob', 'carol', 'root'] as const

/** Who is signed in, and how to become somebody else. */
export function SignInMenu({ viewer }: { readonly viewer: Viewer }) {
  const dialog = useRef<HTMLDialogElement>(null)
  const attempt = useAttempt()
  const leave = (): void => {
    void attempt(async () => {
      const token = forgetToken()
      // The connection first: otherwise the server may end it with the sign-in while it is changing hands.
      await client.authenticate(null)
      await signOut(token)
    })
  }
  return (
    <>
      {viewer.id === undefined ? (
        <button type="button" className="primary" onClick={() => dialog.current?.showModal()}>
          Sign in
        </button>
      ) : (
        <>
          <button type="button" className="quiet person" onClick={() => dialog.current?.showModal()}>
            <Avatar id={viewer.id} name={viewer.name ?? '…'} />
            <span className="person-name">{viewer.name ?? '…'}</span>
          </button>
          <button type="button" className="quiet" onClick={leave}>
            Sign out
          </button>
        </>
      )}
      <dialog ref={dialog} aria-labelledby="sign-in-title" className="sign-in">
        <SignInForm onDone={() => dialog.current?.close()} />
      </dialog>
    </>
  )
}

function SignInForm({ onDone }: { readonly onDone: () => void }) {
  const [problem, setProblem] = useState<string>()
  const [busy, setBusy] = useState(false)
  const enter = async (name: string, password: string): Promise<void> => {
    setBusy(true)
    setProblem(undefined)
    try {
      await client.authenticate(await signIn(name, password))
      onDone()
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error))
    } finally {
      setBusy(false)
    }
  }
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault()
    const data = new FormData(event.currentTarget)
    const text = (name: string): string => {
      const value = data.get(name)
      return typeof value === 'string' ? value : ''
    }
    void enter(text('name'), text('password'))
  }
  return (
    <>
      <h2 id="sign-in-title">Sign in</h2>
      <p className="hint">This window becomes that person; other windows stay who they are.</p>
      <div className="seeded">
        {seeded.map((name, at) => (
          <button key={name} type="button" disabled={busy} onClick={() => void enter(name, 'pw')}>
            <Avatar id={at + 1} name={name} />
            {name}
          </button>
        ))}
      </div>
      <form onSubmit={submit}>
        <label>
          Name
          <input name="name" autoComplete="username" required maxLength={64} />
        </label>
        <label>
          Password
          <input name="password" type="password" autoComplete="current-password" required />
        </label>
        {problem !== undefined && (
          <p role="alert" className="problem">
            {problem}
          </p>
        )}
        <div className="buttons">
          <button type="button" className="quiet" onClick={onDone}>
            Cancel
          </button>
          <button type="submit" className="primary" disabled={busy}>
            Sign in
          </button>
        </div>
      </form>
    </>
  )
}
