/** What a tree holds at a path, as far as links are concerned. Paths are relative, `/`-separated, without `.` and `..`. */
export type Node = { kind: 'file' } | { kind: 'directory' } | { kind: 'link'; target: string }

const maxHops = 40

/**
 * Follows the link at `path` the way the kernel would, component by component, links in the middle included, and says whether it
 * stays inside the tree. A lexical check is not enough: with `a/b/up -> ../..`, `a/b/x -> up/../etc` looks inside and is not.
 * Missing components are taken as directories: nothing is there to lead elsewhere.
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
    // A target of a million "../" costs the attacker a path as long; bound what it costs us.
    if (pending.length > 10_000) return false
  }
  return true
}
