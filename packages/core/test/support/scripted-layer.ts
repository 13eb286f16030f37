import type { ChannelLayer, LayerEntry, LayerEvents } from '../../src/channel-layer.ts'
import type { Group, GroupListener } from '../../src/group-hub.ts'

/** A call to the layer that the test answers. */
export interface LayerCall {
  readonly name: string
  readonly group: string
  answer(value?: unknown): void
  fail(): void
}

/** A layer that does nothing by itself. */
export function scriptedLayer(called: (call: LayerCall) => void, opened: (events: LayerEvents) => void): ChannelLayer {
  const call = (name: string, group: string): Promise<never> =>
    new Promise<unknown>((resolve, reject) => {
      called({ name, group, answer: resolve, fail: () => reject(new Error(name)) })
    }) as Promise<never>
  return {
    open: (events) => opened(events),
    join: (group) => call('join', group),
    leave: (group) => call('leave', group),
    publish: (group) => call('publish', group),
    history: (group) => call('history', group),
    close: () => undefined,
  }
}

/** Notes what it hears: the number of each entry with its transaction, and each loss. */
export class RecordingListener implements GroupListener {
  readonly heard: string[] = []
  receive(_group: Group, seq: number, entry: LayerEntry): void {
    this.heard.push(`${seq} ${entry.type === 'coarse' ? entry.tx : ''}`)
  }
  lost(): void {
    this.heard.push('lost')
  }
}
