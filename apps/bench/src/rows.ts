import type { Workload } from './workload.ts'

/** What is compared with the bare loop: CPU time of the server for each delivery, change or request, or memory. */
type Unit = 'delivery' | 'change' | 'request' | 'socket'

/** A row of the table. */
export interface Row {
  readonly name: string
  readonly title: string
  readonly unit: Unit
  readonly workload: Workload
  /** Two server processes over a Redis: the records change in one, the clients are on the other. */
  readonly twoProcesses?: boolean
  /** The ratio to the bare loop that is to be reached. */
  readonly goal?: number
  /** Socket writes for each delivery that are to be reached. */
  readonly writesGoal?: number
  /** Kilobytes for each socket that are to be reached. */
  readonly memoryGoal?: number
  /** The median latency is to be no worse than that of the bare loop. */
  readonly latencyGoal?: boolean
}

const fanOut = { records: 16, sockets: 1_000, following: { type: 'all' } } as const
const manyGroups = { records: 20_000, sockets: 1_000, following: { type: 'records', each: 100 } } as const

/** All rows; each target that has no answer to one leaves it out. */
export const rows: readonly Row[] = [
  {
    name: 'fan-out',
    title: 'one change to 1,000 sockets, changes apart',
    unit: 'delivery',
    workload: { ...fanOut, traffic: { type: 'changes', atOnce: 1, interval: 20 } },
    goal: 0.92,
    latencyGoal: true,
  },
  {
    name: 'burst',
    title: '16 changes at once to 1,000 sockets',
    unit: 'delivery',
    workload: { ...fanOut, traffic: { type: 'changes', atOnce: 16, interval: 20 } },
    goal: 0.07,
    writesGoal: 0.065,
  },
  {
    name: 'writers',
    title: '50 writers and 1,000 readers of one record, closed loop',
    unit: 'delivery',
    workload: {
      records: 1,
      sockets: 1_000,
      following: { type: 'all' },
      traffic: { type: 'requests', sockets: 50, action: 'update' },
    },
    goal: 0.05,
  },
  {
    name: 'groups-few',
    title: '1,000 sockets × 100 of 20,000 records, 8 changes at once',
    unit: 'delivery',
    workload: { ...manyGroups, traffic: { type: 'changes', atOnce: 8, interval: 4 } },
    goal: 0.85,
  },
  {
    name: 'groups-many',
    title: '1,000 sockets × 100 of 20,000 records, 400 changes at once',
    unit: 'delivery',
    workload: { ...manyGroups, traffic: { type: 'changes', atOnce: 400, interval: 60 } },
    goal: 0.55,
    writesGoal: 0.44,
  },
  {
    name: 'two-processes-groups',
    title: '1,000 sockets × 100 of 20,000 records, 400 changes at once in another process, over Redis',
    unit: 'delivery',
    workload: { ...manyGroups, traffic: { type: 'changes', atOnce: 400, interval: 100 } },
    twoProcesses: true,
    goal: 0.3,
  },
  {
    name: 'two-processes-record',
    title: '16 changes at once of one record in another process to 1,000 sockets, over Redis',
    unit: 'delivery',
    workload: { ...fanOut, records: 1, traffic: { type: 'changes', atOnce: 16, interval: 50 } },
    twoProcesses: true,
    goal: 0.3,
  },
  {
    name: 'requests',
    title: 'request and reply, one in flight on each of 100 sockets',
    unit: 'request',
    workload: {
      records: 1_000,
      sockets: 0,
      following: { type: 'nothing' },
      traffic: { type: 'requests', sockets: 100, action: 'get' },
    },
    goal: 1.3,
  },
  {
    name: 'filters',
    title: '10,000 different filters, against evaluating all of them',
    unit: 'change',
    workload: {
      records: 10_000,
      sockets: 100,
      following: { type: 'filters', each: 100 },
      traffic: { type: 'changes', atOnce: 200, interval: 150 },
    },
    goal: 0.01,
  },
  {
    name: 'memory',
    title: 'memory of an idle socket with 10 subscriptions',
    unit: 'socket',
    workload: {
      records: 1_000,
      sockets: 2_000,
      following: { type: 'records', each: 10 },
      traffic: { type: 'changes', atOnce: 0, interval: 1_000 },
    },
    memoryGoal: 12,
  },
]
