/** Whether a Content-Type names a stream of events (the HTML standard, server-sent events): it may be quiet for as long as it is open. */
export function isEventStream(contentType: string | undefined): boolean {
  return contentType !== undefined && /^text\/event-stream\s*(;|$)/i.test(contentType)
}
