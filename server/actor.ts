/** The authenticated caller: identity, team and role. Every use-case takes an actor; the data-access layer scopes every query to `teamId`. */
export interface Actor {
  kind: 'user' | 'api-key' | 'system'
  /** User or key id. */
  id: string
  /** For the audit log. */
  name: string
  teamId: string
  role: 'owner' | 'admin' | 'member'
  /** The caller operates this machine and may fetch sources from private networks. */
  operator: boolean
  /** Expiry of the API key or session; null or absent: never expires. */
  expiresAt?: Date | null
  /** Client IP address, for the audit log. */
  address?: string
}
