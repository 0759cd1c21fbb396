/** A node of a tree, for resolving links. Paths are relative and `/`-separated, without `.` and `..`. */
export type Node = { kind: 'file' } | { kind: 'directory' } | { kind: 'link'; target: string }

const maxHops = 40

/**
 * Resolves the link at `path` like the kernel, component by component, and returns whether it stays inside the tree. A lexical check is not
 * sufficient: with `a/b/up -> ../..`, `a/b/x -> up/../etc` looks inside but is not. Missing components count as directories.
 */
export function staysInside(path: string, nodes: ReadonlyMap<string, Node>): boolean {
  const pending = path.split('/').reverse()
  const at: string[] = []
  let hops = 0
  while (pending.length > 0) {
    const part = pending.pop()
    if (part === undefined || part === '' || part === '.') continue
    if (part === '..') {
      if (at.length === 0) return false
      at.pop()
      continue
    }
    at.push(part)
    const node = nodes.get(at.join('/'))
    if (node?.kind !== 'link') continue
    hops += 1
    if (hops > maxHops || node.target.startsWith('/') || node.target === '') return false
    at.pop()
    pending.push(...node.target.split('/').reverse())
    // Bound the work for a target with a million "../".
    if (pending.length > 10_000) return false
  }
  return true
}
