const name = 'board_token'

/** The token in a `Cookie` header, or `null`. */
export function tokenCookie(header: string | undefined): string | null {
  for (const pair of (header ?? '').split(';')) {
    const [key, value] = pair.trim().split('=', 2)
    if (key === name && value !== undefined && value !== '') return value
  }
  return null
}

/** The `Set-Cookie` header that keeps a token for so many seconds; scripts cannot read it. */
export function keepTokenCookie(token: string, seconds: number): string {
  return `${name}=${token}; Path=/; Max-Age=${seconds}; SameSite=Lax; HttpOnly`
}

/** The `Set-Cookie` header that removes it. */
export const dropTokenCookie: string = `${name}=; Path=/; Max-Age=0; SameSite=Lax; HttpOnly`
