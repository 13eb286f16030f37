import { vi } from 'vitest'
import { describeRows } from '../src/describe-rows.ts'
import { rowsWith } from '../src/matrix.ts'

// Processes take their time where many tests run at once.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 })

describeRows(rowsWith('redis'))
