/** What Connection says of the connection alone. */
const ofTheConnection = /^[\s,]*(?:(?:keep-alive|close|upgrade|te|http2-settings)(?:[\s,]+|$))*$/i

/**
 * Whether a Connection header takes fields away that the client sends in the same request (RFC 9110 §7.6.1): the instance does not see
 * them, so its answer does not suit who did not do so.
 */
export const nominatesFields = (connection: string | undefined): boolean =>
  connection !== undefined && connection !== 'keep-alive' && !ofTheConnection.test(connection)

/** Whether an Upgrade header asks for a WebSocket: nothing stored answers that. */
export const asksForSocket = (upgrade: string | undefined): boolean => upgrade !== undefined && upgrade.toLowerCase() === 'websocket'
