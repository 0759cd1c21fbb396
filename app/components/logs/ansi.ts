import Anser from 'anser'
import type { CSSProperties } from 'react'

export interface Span {
  text: string
  className?: string
  style?: CSSProperties
}

const escapeCharacter = '\u001b'

/** The final text of a line with carriage returns, as a terminal shows it. */
function afterLastReturn(text: string): string {
  const trimmed = text.endsWith('\r') ? text.slice(0, -1) : text
  const at = trimmed.lastIndexOf('\r')
  return at === -1 ? trimmed : trimmed.slice(at + 1)
}

/** Colour `n` of the 256-colour palette from 16 on: a 6×6×6 cube, then 24 greys. */
function paletteColor(index: number): string | undefined {
  if (index < 16 || index > 255) return undefined
  if (index >= 232) {
    const grey = 8 + (index - 232) * 10
    return `rgb(${grey}, ${grey}, ${grey})`
  }
  const level = (value: number) => (value === 0 ? 0 : 55 + value * 40)
  const cube = index - 16
  return `rgb(${level(Math.floor(cube / 36))}, ${level(Math.floor(cube / 6) % 6)}, ${level(cube % 6)})`
}

function colorOf(name: string | null, truecolor: string | null): { className?: string; color?: string } {
  if (!name) return {}
  if (name === 'ansi-truecolor') return truecolor ? { color: `rgb(${truecolor})` } : {}
  if (name.startsWith('ansi-palette-')) {
    const color = paletteColor(Number(name.slice('ansi-palette-'.length)))
    return color ? { color } : {}
  }
  return { className: name }
}

function spanOf(entry: Anser.AnserJsonEntry): Span {
  const foreground = colorOf(entry.fg, entry.fg_truecolor)
  const decorations = entry.decorations ?? []
  const classes = [
    foreground.className,
    decorations.includes('bold') && 'font-semibold',
    decorations.includes('dim') && 'opacity-65',
    decorations.includes('italic') && 'italic',
    decorations.includes('underline') && 'underline',
    decorations.includes('strikethrough') && 'line-through',
  ].filter(Boolean)
  return { text: entry.content, className: classes.join(' ') || undefined, style: foreground.color ? { color: foreground.color } : undefined }
}

/** A line with its terminal colours as spans. Background colours are dropped because they would clash with the theme. */
export function parseAnsi(raw: string): Span[] {
  const text = afterLastReturn(raw)
  if (!text.includes(escapeCharacter)) return [{ text }]
  return Anser.ansiToJson(text, { use_classes: true, remove_empty: true }).map(spanOf)
}

/** The line without colours, for search, measurement, copy and download. Tabs become spaces, so that columns can be counted. */
export function plainText(raw: string): string {
  const text = afterLastReturn(raw)
  return (text.includes(escapeCharacter) ? Anser.ansiToText(text) : text).replaceAll('\t', '    ')
}
