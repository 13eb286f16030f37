import { closeCodes } from '@rtapi/core/protocol'

/** Why a request over HTTP was not answered as it should be. */
export interface HttpRefusal {
  /** Asking again may help. */
  readonly again: boolean
  /** Somebody has answered. */
  readonly answered: boolean
  /** How a link ends for which it was the end. */
  readonly code: number
  readonly reason: string
  /** Milliseconds that the server wants the client to wait. */
  readonly after: number | undefined
}

/** What an answer means that is no success. One which is not of rtapi, but of something in between, says nothing. */
export async function refusalOf(response: Response): Promise<HttpRefusal> {
  const { status } = response
  const error = wireErrorIn(await response.text().catch(() => ''))
  const seconds = Number(response.headers.get('retry-after') ?? '')
  const after = error?.retryAfter ?? (seconds > 0 ? seconds * 1_000 : undefined)
  const reason = error?.message ?? `HTTP status ${status}`
  const again = status === 429 || status >= 500
  return { again, answered: true, code: (error && codeOf[status]) ?? 1006, reason, after }
}

/** What a server of rtapi means; a session that it does not know is begun anew. */
const codeOf: Readonly<Record<number, number>> = {
  400: closeCodes.badFrame,
  401: closeCodes.unauthenticated,
  403: closeCodes.forbidden,
  413: closeCodes.tooBig,
  429: closeCodes.draining,
  500: closeCodes.internal,
  503: closeCodes.draining,
}

function wireErrorIn(text: string): { readonly message: string; readonly retryAfter: number | undefined } | undefined {
  try {
    const body = JSON.parse(text) as { readonly type?: unknown; readonly error?: Readonly<Record<string, unknown>> }
    const { message, retryAfter } = body.error ?? {}
    if (body.type !== 'reply' || typeof message !== 'string') return undefined
    return { message, retryAfter: typeof retryAfter === 'number' ? retryAfter : undefined }
  } catch {
    return undefined
  }
}
