import { Setting } from './protocol'
import { streamWindow } from './stream'

export const maxConcurrentStreams = 128

/** The SETTINGS sent to each client (RFC 9113 §6.5.2); the last one allows WebSockets (RFC 8441 §3). */
export const ownSettings = (maxHeaderBytes: number): [number, number][] => [
  [Setting.maxConcurrentStreams, maxConcurrentStreams],
  [Setting.initialWindowSize, streamWindow],
  [Setting.maxHeaderListSize, maxHeaderBytes],
  [Setting.enableConnectProtocol, 1],
]
