import { type PointerEvent, useEffect, useRef, useState } from 'react'
import type { Task, TaskState } from './board-client.ts'
import { taskStates } from './task-states.ts'

/** A card on its way: where its copy is on the screen, and the column under it. */
export interface Drag {
  readonly task: Task
  readonly left: number
  readonly top: number
  readonly width: number
  readonly over: TaskState | undefined
}

/** Pixels that a pointer may move before a click becomes a drag, and from an edge at which the columns scroll. */
const threshold = 5
const edge = 48

/** Lets cards be dragged by mouse, pen or finger. The column of an element is in its `data-state`. */
export function useCardDrag(onDrop: (task: Task, state: TaskState) => void): {
  readonly drag: Drag | undefined
  /** For `onPointerDown` of what a card is grabbed by. */
  readonly grab: (task: Task, event: PointerEvent<HTMLElement>) => void
} {
  const [drag, setDrag] = useState<Drag>()
  const listening = useRef<AbortController>(undefined)
  useEffect(() => () => listening.current?.abort(), [])

  const grab = (task: Task, event: PointerEvent<HTMLElement>): void => {
    const card = event.currentTarget.closest<HTMLElement>('[data-task]')
    if (event.button !== 0 || !event.isPrimary || card === null) return
    const start = { x: event.clientX, y: event.clientY }
    const box = card.getBoundingClientRect()
    const listeners = new AbortController()
    listening.current?.abort()
    listening.current = listeners
    const { signal } = listeners
    let dragging: Drag | undefined

    const move = ({ clientX: x, clientY: y, pointerId }: globalThis.PointerEvent): void => {
      if (pointerId !== event.pointerId) return
      if (dragging === undefined && Math.hypot(x - start.x, y - start.y) < threshold) return
      if (dragging !== undefined) scrollAtEdge(card, x)
      dragging = {
        task,
        left: box.left + x - start.x,
        top: box.top + y - start.y,
        width: box.width,
        over: stateAt(x, y),
      }
      setDrag(dragging)
    }
    const end = (drop: boolean): void => {
      listeners.abort()
      setDrag(undefined)
      if (dragging === undefined) return
      swallowClick()
      if (drop && dragging.over !== undefined) onDrop(task, dragging.over)
    }
    addEventListener('pointermove', move, { signal })
    addEventListener('pointerup', ({ pointerId }) => pointerId === event.pointerId && end(true), { signal })
    addEventListener('pointercancel', ({ pointerId }) => pointerId === event.pointerId && end(false), { signal })
    addEventListener('keydown', ({ key }) => key === 'Escape' && end(false), { signal })
  }
  return { drag, grab }
}

function stateAt(x: number, y: number): TaskState | undefined {
  const column = document.elementFromPoint(x, y)?.closest<HTMLElement>('[data-state]')
  return taskStates.find((state) => state === column?.dataset['state'])
}

/** On narrow screens not all columns fit beside one another. */
function scrollAtEdge(card: HTMLElement, x: number): void {
  const columns = card.closest<HTMLElement>('.columns')
  if (columns === null) return
  const { left, right } = columns.getBoundingClientRect()
  if (x > right - edge) columns.scrollBy({ left: 16 })
  else if (x < left + edge) columns.scrollBy({ left: -16 })
}

/** The pointer that drops a card also clicks on what is under it. */
function swallowClick(): void {
  const done = new AbortController()
  const swallow = (event: Event): void => {
    event.preventDefault()
    event.stopPropagation()
  }
  addEventListener('click', swallow, { capture: true, once: true, signal: done.signal })
  setTimeout(() => done.abort())
}
