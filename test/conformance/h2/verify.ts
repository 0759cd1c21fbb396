import { Flag, FrameType } from '@/router/engine/http2/protocol'
import { codeName, type Ending, type Frame, H2Wire } from './wire'

/** One case, named as h2spec names it: RFC section, number, title. It throws when the server does not do what it must. */
export interface Case {
  section: string
  title: string
  run(port: number): Promise<void>
}

/** Opens a connection for a case and closes it whatever happens. */
export function onWire(section: string, title: string, run: (wire: H2Wire) => Promise<void>, settings: [number, number][] = []): Case {
  return {
    section,
    title,
    run: async (port) => {
      const wire = await H2Wire.open(port, settings)
      try {
        await run(wire)
      } finally {
        wire.close()
      }
    },
  }
}

export function check(condition: boolean, wanted: string): asserts condition {
  if (!condition) throw new Error(`expected ${wanted}`)
}

const said = (ending: Ending) => ('code' in ending ? `${ending.kind} ${codeName(ending.code)}` : ending.kind)

/** §5.4.1: GOAWAY with one of the codes; to be closed without a word counts, too (as it does for h2spec). */
export async function connectionError(wire: H2Wire, ...codes: number[]): Promise<void> {
  const ending = await wire.ending()
  const right = ending.kind === 'closed' || (ending.kind === 'goaway' && codes.includes(ending.code))
  check(right, `a connection error ${codes.map(codeName).join(' or ')}, not ${said(ending)}`)
  if (ending.kind === 'goaway') check(await wire.until(() => wire.closed), 'the connection closed after GOAWAY')
}

/** §5.4.2: RST_STREAM with one of the codes; to make a connection error of it is allowed. */
export async function streamError(wire: H2Wire, ...codes: number[]): Promise<void> {
  const ending = await wire.ending()
  const right = ending.kind === 'closed' || ('code' in ending && codes.includes(ending.code))
  check(right, `a stream error ${codes.map(codeName).join(' or ')}, not ${said(ending)}`)
}

export async function answered(wire: H2Wire, streamId = 1): Promise<void> {
  const status = await wire.status(streamId)
  check(status !== null, `an answer on stream ${streamId}`)
}

export async function stillAlive(wire: H2Wire): Promise<void> {
  check(await wire.alive(), 'the connection alive')
}

/** Waits until the server has ended a stream. */
export async function streamEnded(wire: H2Wire, streamId = 1): Promise<void> {
  const ends = ({ type, flags, streamId: id }: Frame) =>
    id === streamId && (type === FrameType.data || type === FrameType.headers) && (flags & Flag.endStream) !== 0
  const last = wire.frames.some(ends) || (await wire.next(ends)) !== null
  check(last, `the end of stream ${streamId}`)
}
