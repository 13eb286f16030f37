/** One event as it was sent. */
export interface ServerSentEvent {
  readonly event: string
  readonly id: string
  readonly data: string
}

/** Reads events as the HTML standard says: lines of fields, an empty line at the end of each event. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerSentEvent, void> {
  let rest = ''
  let fields: { event: string; data: string[] } = { event: 'message', data: [] }
  let id = ''
  for await (const text of body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)) {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const [, name = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? []
      if (line === '') {
        if (fields.data.length > 0) yield { event: fields.event, id, data: fields.data.join('\n') }
        fields = { event: 'message', data: [] }
      } else if (name === 'data') fields.data.push(value)
      else if (name === 'event') fields.event = value
      else if (name === 'id') id = value
    }
  }
}
