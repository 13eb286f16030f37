/** Something that has bytes to write when the tick ends. It does not throw. */
export interface Writer {
  flush(): void
}

/** Collects the sockets that got frames, and lets each of them write once when the code that runs now has ended. */
export class WriteQueue {
  private waiting: Writer[] = []

  add(writer: Writer): void {
    // Runs after the current callback and the promises it settles: frames that belong together go out together, and a
    // frame that comes alone does not wait for other input.
    if (this.waiting.push(writer) === 1) process.nextTick(flushQueue, this)
  }

  flush(): void {
    const waiting = this.waiting
    this.waiting = []
    for (const writer of waiting) writer.flush()
  }
}

function flushQueue(queue: WriteQueue): void {
  queue.flush()
}
