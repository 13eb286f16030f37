// Each window keeps a token of its own, so that two windows can be two people. A cookie, which the server sets as well,
// would be shared by all windows of the browser; it is used when a window has no token.
const storageKey = 'board-token'

/** The token with which this window last signed in. */
export function keptToken(): string | null {
  return sessionStorage.getItem(storageKey)
}

/** Signs in and keeps the token. @throws Error with a message for people. */
export async function signIn(name: string, password: string): Promise<string> {
  const response = await fetch('/login', {
    method: 'POST',
    credentials: 'omit',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name, password }),
  })
  const answer = (await response.json()) as
    | { readonly token: string }
    | { readonly error: { readonly message: string } }
  if ('error' in answer) throw new Error(answer.error.message)
  sessionStorage.setItem(storageKey, answer.token)
  return answer.token
}

/** Keeps the token no longer, and answers it. */
export function forgetToken(): string | null {
  const token = keptToken()
  sessionStorage.removeItem(storageKey)
  return token
}

/** Tells the server that a sign-in is over. @param token - of the sign-in; `null`: that of the cookie. */
export async function signOut(token: string | null): Promise<void> {
  await fetch('/logout', {
    method: 'POST',
    ...(token === null
      ? { credentials: 'same-origin' }
      : { credentials: 'omit', headers: { authorization: `Bearer ${token}` } }),
  })
}
