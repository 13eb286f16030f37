import type { Report } from '@rtapi/core'
import type { BoardDatabase } from '../domain/board-database.ts'
import { type DatabaseAddress, FlagError } from '../flags.ts'

export function openSequelize(_address: DatabaseAddress, _report: Report): Promise<BoardDatabase> {
  return Promise.reject(new FlagError('--orm sequelize is not available yet'))
}
