const FIN_TEXT = 0x81
const FIN_BINARY = 0x82

/** For transports that write WebSocket frames themselves: the bytes that stand before so many bytes of data. */
export function frameHeaderLength(dataLength: number): 2 | 4 | 10 {
  return dataLength < 126 ? 2 : dataLength < 65_536 ? 4 : 10
}

/** Writes the header of one unfragmented, unmasked frame (RFC 6455, 5.2) to the beginning of `bytes`. */
export function writeFrameHeader(bytes: Uint8Array, dataLength: number, isText: boolean): void {
  bytes[0] = isText ? FIN_TEXT : FIN_BINARY
  const headerLength = frameHeaderLength(dataLength)
  if (headerLength === 2) {
    bytes[1] = dataLength
    return
  }
  bytes[1] = headerLength === 4 ? 126 : 127
  // The highest byte first; a length beyond 32 bits cannot be shifted.
  for (let at = headerLength - 1, rest = dataLength; at > 1; at--, rest = Math.floor(rest / 256)) bytes[at] = rest & 255
}
