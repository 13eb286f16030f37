import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { HttpError } from './json-body.ts'
import { type SignIn, answerJson } from './sign-in.ts'
import type { StaticPage } from './static-page.ts'

const securityHeaders = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
} as const

/** Answers what is not a transport's: the page, `/login`, `/logout` and `/connections`. */
export function requestListener(page: StaticPage, signIn: SignIn, report: (error: unknown) => void): RequestListener {
  return (request, response) => {
    for (const [name, value] of Object.entries(securityHeaders)) response.setHeader(name, value)
    answer(page, signIn, request, response).catch((error: unknown) => {
      if (!(error instanceof HttpError)) report(error)
      const { status, message, headers } =
        error instanceof HttpError ? error : new HttpError(500, 'The server failed; its operator can read why.')
      if (response.headersSent) {
        response.destroy()
        return
      }
      for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
      answerJson(response, status, { error: { message } })
    })
  }
}

async function answer(
  page: StaticPage,
  signIn: SignIn,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = (request.url ?? '/').split('?', 1)[0] ?? '/'
  if (path === '/login' || path === '/logout') {
    if (request.method !== 'POST') throw new HttpError(405, 'Use POST.', { allow: 'POST' })
    return path === '/login' ? signIn.login(request, response) : signIn.logout(request, response)
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    throw new HttpError(405, 'Use GET.', { allow: 'GET, HEAD' })
  }
  if (path === '/connections') return signIn.connections(request, response)
  if (!page.serve(path, response)) throw new HttpError(404, 'There is no such page.')
}
