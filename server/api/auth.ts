import NextAuth, { type NextAuthOptions } from 'next-auth'
import CredentialsProvider from 'next-auth/providers/credentials'
import { isAppError } from '@/shared/errors'
import { getPlatform } from '../platform'
import { clientAddress } from './client-address'
import { sessionSeconds } from './session'

/**
 * Sign-in by next-auth: e-mail and password now; OAuth providers join the list with the adapter their accounts need.
 * The options are made for each request, because the platform is composed after Next has loaded this module.
 */
export function authOptions(headers: Headers): NextAuthOptions {
  const { settings, accounts } = getPlatform()
  return {
    secret: settings.authSecret,
    session: { strategy: 'jwt', maxAge: sessionSeconds },
    jwt: { maxAge: sessionSeconds },
    pages: { signIn: '/login', error: '/login' },
    providers: [
      CredentialsProvider({
        credentials: { email: { type: 'email' }, password: { type: 'password' } },
        async authorize(credentials) {
          if (!credentials?.email || !credentials.password) return null
          const user = accounts.verifyPassword(credentials.email, credentials.password, clientAddress(headers))
          // next-auth hands the form nothing of an error but its message: the code says which it is.
          return user.catch((cause: unknown) => {
            throw isAppError(cause) ? new Error(cause.code, { cause }) : cause
          })
        },
      }),
    ],
    callbacks: {
      jwt({ token, user }) {
        if (user) token.uid = user.id
        return token
      },
      session({ session, token }) {
        return { ...session, user: { ...session.user, id: token.uid } }
      },
    },
  }
}

type RouteContext = { params: Promise<{ nextauth: string[] }> }

/** Serves `/api/auth/*`. */
export async function handleAuth(request: Request, context: RouteContext): Promise<Response> {
  // The dashboard is opened by localhost, by an address and by name alike: next-auth takes the host of the request,
  // as Next hands it over, instead of one fixed URL. It reads this from the environment and offers no option for it.
  // biome-ignore lint/style/noProcessEnv: see above
  process.env.AUTH_TRUST_HOST ??= 'true'
  const answer = (await NextAuth(request as never, context as never, authOptions(request.headers))) as Response
  return request.method === 'GET' && new URL(request.url).pathname.endsWith('/session') ? withoutCookies(answer) : answer
}

/**
 * next-auth renews the session cookie whenever somebody asks for the session. Its client asks right after signing in; an answer that is
 * late would sign a person in again who has signed out meanwhile. Sessions last 24 hours from sign-in, so nothing needs renewing.
 */
function withoutCookies(answer: Response): Response {
  const headers = new Headers(answer.headers)
  headers.delete('set-cookie')
  return new Response(answer.body, { status: answer.status, headers })
}
