import type { DialectName } from './load/dialect.ts'
import type { Workload } from './workload.ts'

/** Where a target listens, and what its clients speak. */
export interface Endpoint {
  readonly port: number
  readonly path: string
  readonly protocol?: string
}

/** What several server processes share. */
export interface SharedServices {
  /** The address of a Redis. */
  readonly redis: string
  /** A folder for files which all of them read and write. */
  readonly folder: string
}

/** What the server process has used since it was asked last. */
export interface ServerUsage {
  /** User and system time in microseconds, as the operating system accounts for them. */
  readonly cpu: number
  /** Writes handed to the operating system. */
  readonly writes: number
}

export interface MemoryUse {
  /** Bytes, after a garbage collection. */
  readonly resident: number
  readonly heap: number
}

/** Commands to a target's server process. */
export interface TargetCommands {
  /** `shared` is `null` unless this process is one of several. */
  start(workload: Workload, shared: SharedServices | null): Promise<Endpoint>
  /** Changes records for so many milliseconds. */
  change(milliseconds: number): Promise<ChangesMade>
  usage(): Promise<ServerUsage>
  memory(): Promise<MemoryUse>
  /** Records from now on where the process spends its time. */
  startProfile(): Promise<void>
  /** Writes down what was recorded; a `.cpuprofile`, as the tools of browsers read it. */
  writeProfile(file: string): Promise<void>
}

interface ChangesMade {
  readonly changes: number
  /** What that makes at the clients if each change is delivered by itself; `null` if it is not known. */
  readonly deliveries: number | null
  /** The time that the last change carries. */
  readonly lastAt: number
}

/** What the clients have seen since they were asked last. */
export interface Seen {
  readonly deliveries: number
  /** Microseconds from the change to its arrival, of all deliveries or a part of them. */
  readonly latency: { readonly p50: number; readonly p99: number } | null
  /**
   * The time that the newest change carries which every socket has seen, where all sockets follow one and the same
   * record; else `null`.
   */
  readonly seenByAll: number | null
}

/** Commands to the load process. */
export interface LoadCommands {
  /** Connects and subscribes all sockets; resolves when every subscription is complete. */
  connect(workload: Workload, endpoint: Endpoint, dialect: DialectName): Promise<void>
  /** Sends requests in closed loops for so many milliseconds; answers how many were answered. */
  request(milliseconds: number): Promise<{ requests: number }>
  seen(): Promise<Seen>
}
