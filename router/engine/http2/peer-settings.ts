import { defaultWindow, ErrorCode, maxWindow, Setting } from './protocol'

/** The client's SETTINGS (RFC 9113 §6.5.2), limited to those that a server without push and without a dynamic table needs. */
export class PeerSettings {
  initialWindow = defaultWindow

  /** Applies the payload of a SETTINGS frame. Returns an error code, or `ErrorCode.noError`. */
  apply(bytes: Buffer, start: number, end: number): number {
    for (let at = start; at < end; at += 6) {
      const error = this.#set(bytes.readUInt16BE(at), bytes.readUInt32BE(at + 2))
      if (error !== ErrorCode.noError) return error
    }
    return ErrorCode.noError
  }

  #set(setting: number, value: number): number {
    switch (setting) {
      case Setting.enablePush:
        return value > 1 ? ErrorCode.protocolError : ErrorCode.noError
      case Setting.initialWindowSize:
        if (value > maxWindow) return ErrorCode.flowControlError
        this.initialWindow = value
        return ErrorCode.noError
      case Setting.maxFrameSize:
        // Validate only: the router never sends frames larger than the minimum of this setting.
        return value < 16_384 || value > 16_777_215 ? ErrorCode.protocolError : ErrorCode.noError
      default:
        return ErrorCode.noError
    }
  }
}
