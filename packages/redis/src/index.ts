export { type RedisLayerOptions } from './layer-options.ts'
export { type RedisLayerStats } from './layer-stats.ts'
export { type RedisClientLike, type RedisConnection } from './redis-connection.ts'
export { type RedisLayer, redisLayer } from './redis-layer.ts'
