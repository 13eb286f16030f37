export { createClient } from './client.ts'
export type { Client, ClientBase, ClientOptions, ResourceClients, ResourcesOf } from './client.ts'
export type {
  ActionCall,
  ActionName,
  Description,
  FieldDescription,
  GetOptions,
  Page,
  RecordWriteOptions,
  RequestOptions,
  ResourceClient,
  Shown,
  WriteOptions,
  Written,
} from './resource-client.ts'
export type { FieldOf, ListQuery, LiveQuery, Order, ParamsOf, Query, RowOf } from './query.ts'
export type { LiveView, ViewStatus } from './live-view.ts'
export type { ConnectionState, ConnectionStatus, ConnectionStore } from './connection-state.ts'
export type { Recovery } from './subscriptions.ts'
export type { FrameListener } from './frame-listener.ts'
export type { ClientLimits } from './client-limits.ts'
export type { ClientClock } from './client-clock.ts'
export type { ClientCodec } from './client-codec.ts'
export type { Fallback } from './transport-choice.ts'
export type { TokenSource } from './credentials.ts'
export { OutcomeUnknownError } from './errors.ts'
export { webSocketTransport } from './web-socket-transport.ts'
export type { WebSocketConstructor, WebSocketLike, WebSocketTransportOptions } from './web-socket-transport.ts'
export { longPollingTransport } from './long-polling-transport.ts'
export { eventStreamTransport } from './event-stream-transport.ts'
export type { HttpTransportOptions } from './http-exchange.ts'
export { socketIoTransport } from './socket-io-transport.ts'
export type { SocketIo, SocketIoSocketLike, SocketIoTransportOptions } from './socket-io-transport.ts'
export type { ClientTransport, TransportLink, TransportRequest } from './client-transport.ts'
export { RtapiError, errorCodes, keyId } from '@rtapi/core/protocol'
export type { ErrorCode, ErrorDetail, FieldType, Json, Key, Row } from '@rtapi/core/protocol'
