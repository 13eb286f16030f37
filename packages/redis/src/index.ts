export { type RedisClientLike, type RedisConnection } from './redis-connection.ts'
export { type RedisLayer, type RedisLayerOptions, redisLayer } from './redis-layer.ts'
export { type RedisLayerStats } from './layer-stats.ts'
