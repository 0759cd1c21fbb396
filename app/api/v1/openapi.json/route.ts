import { handleOpenApi } from '@/server/api/rest/openapi'

export const runtime = 'nodejs'
export const dynamic = 'force-dynamic'

export { handleOpenApi as GET }
