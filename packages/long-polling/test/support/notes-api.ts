import {
  type Api,
  type ApiOptions,
  type MemoryStore,
  type Resource,
  RtapiError,
  type StandardSchemaV1,
  createApi,
  defineResource,
  groupBy,
  memoryStore,
  some,
} from '@rtapi/core'
