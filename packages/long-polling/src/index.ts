export { type HttpHandler, type HttpOptions, type RequestContext, httpHandler, httpHeaders } from './http-handler.ts'
export { type NodeListener, toNodeListener } from './node-listener.ts'
