import type { EncodedFrame } from '@rtapi/core'
import type { Namespace } from 'socket.io'

/** The one event that carries frames, in both directions. */
export const EVENT = 'rtapi'

/** One packet as socket.io's parser has written it: a text, or a text and the bytes that belong to it. */
type Packet = readonly (string | Buffer)[]

/** What socket.io gives its own broadcasts along, so that a WebSocket frame is built once for all clients. */
export interface PacketOptions {
  compress: boolean
  /** Bytes which go to a WebSocket as they are. */
  readonly wsPreEncodedFrame?: readonly [Buffer]
}

/**
 * Packets that a socket got since its last write, as a list that runs backwards. Sockets which got the same frames in the
 * same order hold the same object, so that their bytes are joined once for all of them.
 */
export class PacketChain {
  /** Of all packets from the first to this one, as WebSocket frames. */
  readonly byteLength: number
  /** Whether all packets are single texts, so that they can be written as one. */
  readonly isText: boolean
  readonly previous: PacketChain | null
  readonly packet: Packet
  /** This packet as a WebSocket frame; `null` if it takes several. */
  private readonly frame: Buffer | null
  /** The chain that somebody last continued this one to: the next socket most likely wants the same. */
  private next: PacketChain | null = null
  private webSocketOptions: PacketOptions | null = null
  private joinedText: string | null = null

  constructor(packet: Packet, frame: Buffer | null, previous: PacketChain | null = null) {
    this.packet = packet
    this.frame = frame
    this.previous = previous
    const own = frame === null ? packet.reduce((sum, part) => sum + Buffer.byteLength(part), 0) : frame.length
    this.byteLength = own + (previous?.byteLength ?? 0)
    this.isText = frame !== null && previous?.isText !== false
  }

  /** This chain and one more packet. */
  append(last: PacketChain): PacketChain {
    if (this.next?.packet === last.packet) return this.next
    this.next = new PacketChain(last.packet, last.frame, this)
    return this.next
  }

  /** Tells a WebSocket to write all frames at once. Nobody may change their bytes. */
  forWebSocket(): PacketOptions {
    return (this.webSocketOptions ??= { compress: false, wsPreEncodedFrame: [this.joinFrames()] })
  }

  /** All packets as the text of one, from which Engine.IO's polling makes a payload: there they stand side by side. */
  forPolling(): string {
    return (this.joinedText ??= this.toPackets().flat().join(`${PAYLOAD_SEPARATOR}${MESSAGE}`))
  }

  /** From the first to the last. */
  toPackets(): readonly Packet[] {
    const packets = [this.packet]
    for (let chain = this.previous; chain !== null; chain = chain.previous) packets.push(chain.packet)
    return packets.reverse()
  }

  private joinFrames(): Buffer {
    if (this.previous === null && this.frame !== null) return this.frame
    const joined = Buffer.allocUnsafe(this.byteLength)
    this.copyFrame(joined)
    for (let chain = this.previous; chain !== null; chain = chain.previous) chain.copyFrame(joined)
    return joined
  }

  private copyFrame(to: Buffer): void {
    if (this.frame !== null) to.set(this.frame, this.byteLength - this.frame.length)
  }
}

/** Engine.IO 4 puts this between the packets of a payload, and this before each message. */
const PAYLOAD_SEPARATOR = '\u001e'
const MESSAGE = '4'

/** Writes the frames for one namespace, each once for all sockets it goes to. */
export class FrameWriter {
  private readonly namespace: Namespace
  /** Wire forms of frames whose own place another transport or namespace has taken. */
  private readonly elsewhere = new WeakMap<EncodedFrame, PacketChain>()

  constructor(namespace: Namespace) {
    this.namespace = namespace
  }

  /** The wire form of a frame, built at its first use and kept with it. */
  chainOf(frame: EncodedFrame): PacketChain {
    const { wire } = frame
    if (wire instanceof WireForm && wire.writer === this) return wire.chain
    const known = wire === undefined ? undefined : this.elsewhere.get(frame)
    if (known !== undefined) return known
    const chain = this.write(frame.data)
    if (wire === undefined) frame.wire = new WireForm(this, chain)
    else this.elsewhere.set(frame, chain)
    return chain
  }

  private write(data: string | Uint8Array): PacketChain {
    const { encoder } = this.namespace.server
    const event = { type: EVENT_PACKET, nsp: this.namespace.name, data: [EVENT, data] }
    const packet = encoder.encode(event) as Packet
    const [text] = packet
    const isText = packet.length === 1 && typeof text === 'string'
    return new PacketChain(packet, isText ? textFrame(MESSAGE + text) : null)
  }
}

/** `PacketType.EVENT` of socket.io's protocol. */
const EVENT_PACKET = 2

class WireForm {
  readonly writer: FrameWriter
  readonly chain: PacketChain

  constructor(writer: FrameWriter, chain: PacketChain) {
    this.writer = writer
    this.chain = chain
  }
}

const FIN_TEXT = 0x81

/** One unfragmented, unmasked text frame (RFC 6455, 5.2). */
export function textFrame(text: string): Buffer {
  const length = Buffer.byteLength(text)
  const headerLength = length < 126 ? 2 : length < 65_536 ? 4 : 10
  const bytes = Buffer.allocUnsafe(headerLength + length)
  bytes[0] = FIN_TEXT
  if (headerLength === 2) {
    bytes[1] = length
  } else if (headerLength === 4) {
    bytes[1] = 126
    bytes.writeUInt16BE(length, 2)
  } else {
    bytes[1] = 127
    bytes.writeUInt32BE(Math.floor(length / 2 ** 32), 2)
    bytes.writeUInt32BE(length % 2 ** 32, 6)
  }
  bytes.write(text, headerLength)
  return bytes
}
