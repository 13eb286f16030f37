import { type EncodedFrame, frameHeaderLength, writeFrameHeader } from '@rtapi/core'
import type { Namespace } from 'socket.io'

/** The one event that carries frames, in both directions. */
export const EVENT = 'rtapi'

/** One packet as socket.io's parser has written it: a text, or a text and the bytes that belong to it. */
type Packet = readonly (string | Buffer)[]

/** What is given along with the packets of this package; by its class they are told from those of others. */
export class WriteOptions {
  /** Engine.IO sets it to what it is. */
  compress = false
  /** Bytes which go to a WebSocket as they are: what socket.io gives its own broadcasts along. */
  readonly wsPreEncodedFrame: readonly [Buffer] | undefined

  constructor(bytes?: Buffer) {
    this.wsPreEncodedFrame = bytes === undefined ? undefined : [bytes]
  }
}

/**
 * Packets that a socket got since its last write, as a list that runs backwards. Sockets which got the same frames in the
 * same order hold the same object, so that their bytes are joined once for all of them.
 */
export class PacketChain {
  /** Of all packets from the first to this one, as WebSocket frames. */
  readonly byteLength: number
  readonly previous: PacketChain | null
  readonly packet: Packet
  /** This packet as WebSocket frames. */
  private readonly frames: Buffer
  /** The chain that somebody last continued this one to: the next socket most likely wants the same. */
  private next: PacketChain | null = null
  private webSocketOptions: WriteOptions | null = null
  private payload: string | null = null

  constructor(packet: Packet, frames: Buffer, previous: PacketChain | null = null) {
    this.packet = packet
    this.frames = frames
    this.previous = previous
    this.byteLength = frames.length + (previous?.byteLength ?? 0)
  }

  /** This chain and one more packet. */
  append(last: PacketChain): PacketChain {
    if (this.next?.packet === last.packet) return this.next
    const next = new PacketChain(last.packet, last.frames, this)
    this.next = next
    return next
  }

  /** Tells a WebSocket to write all frames at once. Nobody may change their bytes. */
  forWebSocket(): WriteOptions {
    return (this.webSocketOptions ??= new WriteOptions(this.joinFrames()))
  }

  /**
   * All packets as the text of one, from which Engine.IO's polling makes a payload: there they stand side by side. Empty
   * if the first is no text, as other parsers than socket.io's own write it.
   */
  forPolling(): string {
    return (this.payload ??= joinParts(this.toPackets().flat()))
  }

  /** From the first to the last. */
  toPackets(): readonly Packet[] {
    const packets = [this.packet]
    for (let chain = this.previous; chain !== null; chain = chain.previous) packets.push(chain.packet)
    return packets.reverse()
  }

  private joinFrames(): Buffer {
    if (this.previous === null) return this.frames
    const joined = Buffer.allocUnsafe(this.byteLength)
    this.copyFrames(joined)
    for (let chain: PacketChain | null = this.previous; chain !== null; chain = chain.previous) chain.copyFrames(joined)
    return joined
  }

  private copyFrames(to: Buffer): void {
    to.set(this.frames, this.byteLength - this.frames.length)
  }
}

/** Engine.IO 4 puts this between the packets of a payload, and these before each message and before bytes as base64. */
const PAYLOAD_SEPARATOR = '\u001e'
const MESSAGE = '4'
const BASE64 = 'b'

/** The first part goes without its prefix, which Engine.IO puts there. */
function joinParts([first, ...rest]: readonly (string | Buffer)[]): string {
  if (typeof first !== 'string') return ''
  const texts = rest.map((part) => (typeof part === 'string' ? MESSAGE + part : BASE64 + part.toString('base64')))
  return [first, ...texts].join(PAYLOAD_SEPARATOR)
}

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
    // The parser answers the bytes that it was given.
    const parts: readonly (string | Uint8Array)[] = encoder.encode(event)
    const packet = parts.map((part) => (typeof part === 'string' ? part : bufferOf(part)))
    const frames = packet.map((part) => webSocketFrame(typeof part === 'string' ? MESSAGE + part : part))
    return new PacketChain(packet, Buffer.concat(frames))
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

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** One unfragmented, unmasked frame (RFC 6455, 5.2): a text frame for a text, a binary one for bytes. */
export function webSocketFrame(data: string | Uint8Array): Buffer {
  const length = typeof data === 'string' ? Buffer.byteLength(data) : data.length
  const headerLength = frameHeaderLength(length)
  const bytes = Buffer.allocUnsafe(headerLength + length)
  writeFrameHeader(bytes, length, typeof data === 'string')
  if (typeof data === 'string') bytes.write(data, headerLength)
  else bytes.set(data, headerLength)
  return bytes
}
