import { expect, test } from 'vitest'
import { hashPassword, verifyPassword } from '../src/passwords.ts'

test('a password is told from others by its hash', async () => {
  const hash = await hashPassword('pw')
  expect(hash).toMatch(/^scrypt\$16384\$8\$1\$[\w-]{22}\$[\w-]{43}$/)
  expect(await verifyPassword('pw', hash)).toBe(true)
  expect(await verifyPassword('pW', hash)).toBe(false)
})

test('the same password has another hash each time', async () => {
  expect(await hashPassword('pw')).not.toBe(await hashPassword('pw'))
})

test('without a hash no password is right', async () => {
  expect(await verifyPassword('', undefined)).toBe(false)
})

test('composed and decomposed letters are the same password', async () => {
  expect(await verifyPassword('cafe\u0301', await hashPassword('caf\u00e9'))).toBe(true)
})

test('a stored hash that cannot be read is an error, not a wrong password', async () => {
  await expect(verifyPassword('pw', 'md5$x')).rejects.toThrow('cannot be read')
})
