export { type HttpHandler, type HttpOptions, type RequestContext, httpHandler } from './http-handler.ts'
export { httpHeaders } from './http-headers.ts'
export { type NodeListener, type NodeListenerOptions, toNodeListener } from './node-listener.ts'
