import { type NextRequest, NextResponse } from 'next/server'

/** Layouts are not told which page they surround; the dashboard's needs it to come back after sign-in. */
export function proxy(request: NextRequest): NextResponse {
  const headers = new Headers(request.headers)
  headers.set('x-switchyard-page', request.nextUrl.pathname + request.nextUrl.search)
  return NextResponse.next({ request: { headers } })
}

export const config = { matcher: ['/((?!api/|_next/|icon.svg|icon-running.svg|robots.txt|cli.tgz).*)'] }
