import { describe, expect, test } from 'vitest'
import { slowGuessing } from '../src/http/slow-guessing.ts'

const wrong = async (): Promise<null> => null
const right = async (): Promise<string> => 'alice'

describe('wrong guesses', () => {
  test('are refused after ten within a minute, under that name alone', async () => {
    let now = 0
    const guesses = slowGuessing(() => now)
    for (let i = 0; i < 10; i++) expect(await guesses.attempt('a', wrong)).toBeNull()
    await expect(guesses.attempt('a', right)).rejects.toMatchObject({ status: 429, headers: { 'retry-after': '60' } })
    expect(await guesses.attempt('b', right)).toBe('alice')
    now = 60_000
    expect(await guesses.attempt('a', right)).toBe('alice')
  })

  test('right ones are not counted', async () => {
    const guesses = slowGuessing(() => 0)
    for (let i = 0; i < 20; i++) expect(await guesses.attempt('a', right)).toBe('alice')
  })
})

test('four checks run at once, a hundred wait, more are refused', async () => {
  const guesses = slowGuessing(() => 0)
  let open = (): void => undefined
  const gate = new Promise<void>((resolve) => (open = resolve))
  let running = 0
  let most = 0
  const check = async (): Promise<string> => {
    most = Math.max(most, ++running)
    await gate
    running--
    return 'alice'
  }
  const accepted = Array.from({ length: 104 }, () => guesses.attempt('a', check))
  await expect(guesses.attempt('a', check)).rejects.toMatchObject({ status: 503 })
  open()
  expect(await Promise.all(accepted)).toHaveLength(104)
  expect(most).toBe(4)
  expect(await guesses.attempt('a', right), 'the next one runs at once').toBe('alice')
})

test('a check that throws gives its turn to the next', async () => {
  const guesses = slowGuessing(() => 0)
  const broken = (): Promise<never> => Promise.reject(new Error('no database'))
  for (let i = 0; i < 5; i++) await expect(guesses.attempt('a', broken)).rejects.toThrow('no database')
  expect(await guesses.attempt('a', right)).toBe('alice')
})
