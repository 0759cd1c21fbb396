import NextAuth, { type NextAuthOptions } from 'next-auth'
import { decode } from 'next-auth/jwt'
import CredentialsProvider from 'next-auth/providers/credentials'
import { isAppError } from '@/shared/errors'
import { normalizeEmail } from '../accounts/accounts'
import { sessionSeconds } from '../accounts/sessions'
import { getPlatform } from '../platform'
import { withBoundedBody } from './body'
import { knownDevice, rememberDevice } from './device'
import { errorResponse, newRequestId, reportUnexpected } from './http-error'
import { requireSameOrigin, sessionIdOf } from './session'
import { signInCookies } from './session-cookie'
import { clientAddress, isSecure } from './visitor'

/**
 * Sign-in with next-auth by e-mail and password. The options are created for each request, because Next loads this module before the platform is
 * composed. Each sign-in creates a `Session` row, whose id is in the token of the cookie; the row decides validity, not the token's age.
 */
export function authOptions(headers: Headers, onSignIn: (email: string) => void = () => {}): NextAuthOptions {
  const { settings, accounts } = getPlatform()
  const address = clientAddress(headers)
  return {
    secret: settings.authSecret,
    session: { strategy: 'jwt', maxAge: sessionSeconds },
    jwt: {
      maxAge: sessionSeconds,
      async decode(params) {
        const claims = await decode(params)
        const actor = typeof claims?.sid === 'string' ? await accounts.actorOfSession(claims.sid) : null
        return actor ? claims : null
      },
    },
    cookies: signInCookies(isSecure(headers)),
    pages: { signIn: '/login', error: '/login' },
    providers: [
      CredentialsProvider({
        credentials: { email: { type: 'email' }, password: { type: 'password' } },
        async authorize(credentials) {
          if (!credentials?.email || !credentials.password) return null
          const email = normalizeEmail(credentials.email)
          const from = { address, device: await knownDevice(headers, email) }
          const user = await accounts.verifyPassword(email, credentials.password, from).catch((cause: unknown) => {
            // next-auth passes only the message of an error to the form, so the message is the error code.
            throw isAppError(cause) ? new Error(cause.code, { cause }) : cause
          })
          if (user) onSignIn(email)
          return user
        },
      }),
    ],
    callbacks: {
      async jwt({ token, user }) {
        if (user) {
          token.uid = user.id
          token.sid = await accounts.beginSession(user.id, { address, userAgent: headers.get('user-agent') })
        }
        return token
      },
      session({ session, token }) {
        return { ...session, user: { ...session.user, id: token.uid } }
      },
    },
  }
}

type RouteContext = { params: Promise<{ nextauth: string[] }> }

/** Large enough for an e-mail address, a password and a return URL. */
const maxBodyBytes = 64 * 1024

/** Serves `/api/auth/*`. */
export async function handleAuth(given: Request, context: RouteContext): Promise<Response> {
  const { pathname } = new URL(given.url)
  let request = given
  try {
    // next-auth reads `nextUrl`, which Next adds to the request.
    const bounded = await withBoundedBody(given, maxBodyBytes)
    if (bounded !== given && 'nextUrl' in given) Object.assign(bounded, { nextUrl: given.nextUrl })
    request = bounded
    if (request.method !== 'GET') requireSameOrigin(request.headers)
    // End the session before the cookie is removed. An event handler of next-auth would hide a failure, and the user would appear signed
    // out without being so.
    if (request.method === 'POST' && pathname.endsWith('/signout')) await endOwnSession(request.headers)
  } catch (error) {
    const requestId = newRequestId()
    reportUnexpected(error, requestId, pathname)
    return errorResponse(error, requestId)
  }
  // The dashboard is opened by localhost, by an address and by name alike: next-auth takes the host of the request,
  // as Next hands it over, instead of one fixed URL. It reads this from the environment and offers no option for it.
  // biome-ignore lint/style/noProcessEnv: see above
  process.env.AUTH_TRUST_HOST ??= 'true'
  let signedIn: string | null = null
  const options = authOptions(request.headers, (email) => {
    signedIn = email
  })
  const answer = (await NextAuth(request as never, context as never, options)) as Response
  if (request.method === 'GET' && pathname.endsWith('/session')) return withoutCookies(answer)
  return signedIn === null ? answer : withCookie(answer, await rememberDevice(request.headers, signedIn))
}

async function endOwnSession(headers: Headers): Promise<void> {
  const sessionId = await sessionIdOf(headers)
  if (sessionId) await getPlatform().accounts.endSession(sessionId)
}

function withCookie(answer: Response, cookie: string): Response {
  const headers = new Headers(answer.headers)
  headers.append('set-cookie', cookie)
  return new Response(answer.body, { status: answer.status, headers })
}

/**
 * next-auth renews the session cookie whenever the session is requested, also right after sign-in: a late response could sign a user in
 * again after signing out. Sessions last 24 hours from sign-in, so no renewal is needed.
 */
function withoutCookies(answer: Response): Response {
  const headers = new Headers(answer.headers)
  headers.delete('set-cookie')
  return new Response(answer.body, { status: answer.status, headers })
}
