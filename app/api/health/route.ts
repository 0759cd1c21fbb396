import { handleHealth } from '@/server/api/health'

export const runtime = 'nodejs'
export const dynamic = 'force-dynamic'

export { handleHealth as GET }
