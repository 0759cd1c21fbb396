/** Connection options about the connection itself. */
const ofTheConnection = /^[\s,]*(?:(?:keep-alive|close|upgrade|te|http2-settings)(?:[\s,]+|$))*$/i

/**
 * Whether a Connection header names further fields of the same request (RFC 9110 §7.6.1): they are removed, so the instance's answer may
 * not fit clients that did not remove them.
 */
export const nominatesFields = (connection: string | undefined): boolean =>
  connection !== undefined && connection !== 'keep-alive' && !ofTheConnection.test(connection)

/** Whether an Upgrade header requests a WebSocket, which stored answers cannot serve. */
export const asksForSocket = (upgrade: string | undefined): boolean => upgrade !== undefined && upgrade.toLowerCase() === 'websocket'
