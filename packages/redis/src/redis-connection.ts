import {
  type RedisClientOptions,
  type RedisClusterOptions,
  type RedisSentinelOptions,
  createClient,
  createCluster,
  createSentinel,
} from 'redis'
import { type ClusterClient, ClusterMasters } from './cluster-masters.ts'
import { type SentinelClient, sentinelMaster } from './sentinel-master.ts'
import { type MasterSurroundings, SingleMaster } from './single-master.ts'
import type { PlainClient, Topology } from './topology.ts'

/** Anything made by `createClient`, `createCluster` or `createSentinel` of node-redis 6. */
export interface RedisClientLike {
  duplicate(): unknown
  destroy(): unknown
}

/**
 * Which Redis: a URL, the options of `createClient`, `createCluster` or `createSentinel`, or what these made. A client
 * is only copied: the layer opens connections of its own with the same settings, and the client itself need not be
 * connected.
 */
export type RedisConnection = string | RedisClientOptions | RedisClusterOptions | RedisSentinelOptions | RedisClientLike

/** @throws TypeError if it is none of these. */
export function topologyOf(connection: RedisConnection, around: MasterSurroundings): Topology {
  const client: unknown = isClient(connection) ? connection : clientOf(connection)
  if (hasMethod(client, 'getNodeClientForKey')) return new ClusterMasters(client as ClusterClient, around)
  if (hasMethod(client, 'getSentinelNode'))
    return new SingleMaster(sentinelMaster(client as SentinelClient, around.deadlines), around)
  if (!hasMethod(client, 'sSubscribe') || !hasMethod(client, 'sendCommand'))
    throw new TypeError(
      'redisLayer() takes a URL, or a client, a cluster or a sentinel of node-redis 6, or their options',
    )
  const template = client as PlainClient
  const master = {
    open: () => Promise.resolve(),
    find: () => Promise.resolve(template),
    close: () => Promise.resolve(),
  }
  return new SingleMaster(master, around)
}

function clientOf(options: string | RedisClientOptions | RedisClusterOptions | RedisSentinelOptions): unknown {
  if (typeof options === 'string') return createClient({ url: options })
  if (typeof options !== 'object' || options === null) return undefined
  if ('rootNodes' in options) return createCluster(options)
  return 'sentinelRootNodes' in options ? createSentinel(options) : createClient(options)
}

function isClient(connection: RedisConnection): connection is RedisClientLike {
  return hasMethod(connection, 'duplicate')
}

function hasMethod(value: unknown, name: string): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    name in value &&
    typeof value[name as keyof typeof value] === 'function'
  )
}
