export { serveWebSocket, type WebSocketOptions, type WebSocketService } from './serve-web-socket.ts'
