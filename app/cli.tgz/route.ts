import { handleCliPackage } from '@/server/api/cli-package'

export const runtime = 'nodejs'
export const dynamic = 'force-dynamic'

export { handleCliPackage as GET, handleCliPackage as HEAD }
