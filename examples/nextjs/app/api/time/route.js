export const dynamic = 'force-dynamic'

export function GET() {
  return Response.json({ now: new Date().toISOString(), greeting: process.env.GREETING || 'Hello from Switchyard' })
}
