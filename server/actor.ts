/** Who asks, for which team, with which role. Every use-case takes one; the data-access layer scopes every query to `teamId`. */
export interface Actor {
  kind: 'user' | 'api-key' | 'system'
  /** User or key id. */
  id: string
  /** For the audit log. */
  name: string
  teamId: string
  role: 'owner' | 'admin' | 'member'
  /** Runs this machine: may fetch sources from private networks. */
  operator: boolean
  /** When the key or session ends by itself; null or absent: not by time. */
  expiresAt?: Date | null
  /** Where the request came from, for the audit log. */
  address?: string
}
