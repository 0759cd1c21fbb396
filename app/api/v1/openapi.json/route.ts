import { handleOpenApi } from '@/server/api/rest/openapi'

export const runtime = 'nodejs'
export const dynamic = 'force-dynamic'

export {
  handleOpenApi as DELETE,
  handleOpenApi as GET,
  handleOpenApi as HEAD,
  handleOpenApi as OPTIONS,
  handleOpenApi as PATCH,
  handleOpenApi as POST,
  handleOpenApi as PUT,
}
