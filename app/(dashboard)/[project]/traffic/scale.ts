/** Axis maximum (a round number, at least `max`) and its equal round steps; `binary`: round in units of 1024. */
export function niceScale(max: number, binary = false, steps = 3): { top: number; ticks: number[] } {
  if (!(max > 0)) return { top: 1, ticks: [0, 1] }
  if (binary && max >= 1024) {
    const unit = 1024 ** Math.floor(Math.log2(max) / 10)
    const { top, ticks } = niceScale(max / unit, false, steps)
    return { top: top * unit, ticks: ticks.map((tick) => tick * unit) }
  }
  const rough = max / steps
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power
  const count = Math.ceil(max / step - 1e-9)
  return { top: step * count, ticks: Array.from({ length: count + 1 }, (_, i) => step * i) }
}

/** Indices of at most `most` evenly spaced labels that do not overlap the right edge. */
export function labelIndices(length: number, most: number): number[] {
  const step = Math.max(1, Math.ceil(length / Math.max(1, most)))
  return Array.from({ length: Math.ceil(length / step) }, (_, i) => i * step)
}
