import { expect, test } from 'vitest'
import { type CloseCode, type Drainable, OpenSockets, comeBackAfter } from '../src/index.ts'

class Client implements Drainable {
  readonly heard: string[] = []
  after = -1
  goodbye(code: CloseCode, reason: string, after: number): void {
    this.heard.push(`${code} ${reason}`)
    this.after = after
  }
  terminate(): void {
    this.heard.push('terminated')
  }
}

/** Sockets with one timer that the test lets run out. */
function openSockets(...clients: readonly Client[]) {
  let timer: { delay: number; run: () => void } | undefined
  const sockets = new OpenSockets<Client>({
    setTimer(delay, run) {
      timer = { delay, run }
      return () => (timer = undefined)
    },
  })
  for (const client of clients) sockets.add(client)
  return { sockets, timer: () => timer }
}

/** Whether it settles without anything else being done. */
async function isSettled(work: Promise<unknown>): Promise<boolean> {
  return Promise.race([work.then(() => true), new Promise<false>((resolve) => setImmediate(() => resolve(false)))])
}

test('says goodbye to all, and is done when the last has gone', async () => {
  const [first, second] = [new Client(), new Client()]
  const { sockets, timer } = openSockets(first, second)
  expect(sockets.isDraining).toBe(false)
  const drained = sockets.drain(1_000)
  expect(sockets.isDraining).toBe(true)
  expect([first.heard, second.heard]).toEqual([['4452 draining'], ['4452 draining']])
  for (const { after } of [first, second]) expect(after >= 0 && after < 5_000).toBe(true)
  sockets.delete(first)
  expect([await isSettled(drained), timer()?.delay]).toEqual([false, 1_000])
  sockets.delete(second)
  expect([await isSettled(drained), timer()]).toEqual([true, undefined])
  expect([first.heard.length, second.heard.length]).toEqual([1, 1])
})

test('ends those which have not gone in time, and waits until they have', async () => {
  const [quick, slow] = [new Client(), new Client()]
  const { sockets, timer } = openSockets(quick, slow)
  const drained = sockets.drain(1_000)
  sockets.delete(quick)
  timer()?.run()
  expect([quick.heard, slow.heard]).toEqual([['4452 draining'], ['4452 draining', 'terminated']])
  expect(await isSettled(drained)).toBe(false)
  sockets.delete(slow)
  expect(await isSettled(drained)).toBe(true)
})

test('a client that goes while it is told is not waited for', async () => {
  const client = new Client()
  const { sockets, timer } = openSockets(client)
  client.goodbye = () => sockets.delete(client)
  expect([await isSettled(sockets.drain(1_000)), timer(), sockets.size]).toEqual([true, undefined, 0])
})

test('a second call says nothing more, and waits for the first', async () => {
  const client = new Client()
  const { sockets } = openSockets(client)
  const both = [sockets.drain(1_000), sockets.drain(5)]
  expect(client.heard).toEqual(['4452 draining'])
  expect(await isSettled(Promise.race(both))).toBe(false)
  sockets.delete(client)
  await Promise.all(both)
})

test('clients that are sent away together come back at different times', () => {
  const times = Array.from({ length: 1_000 }, comeBackAfter)
  expect(times.every((time) => Number.isInteger(time) && time >= 0 && time < 5_000)).toBe(true)
  expect(new Set(times).size).toBeGreaterThan(500)
})
