import { describe, expect, test } from 'vitest'
import { pathReadings } from '../rules/path-readings'
import { brief, gateFor } from './testing'

const limited = 'problem rate-limited'

/** Whether a request for `path` counts against a limit of one request on `source`. */
async function counts(source: string, path: string): Promise<boolean> {
  const { ask } = gateFor({ rateLimits: [{ source, requests: 1, windowSeconds: 60 }] })
  await ask(path)
  return brief(await ask(path)) === limited
}

describe('a limit on a path', () => {
  test.each([
    '/api/login',
    '/api//login',
    '//api/login',
    '/api/./login',
    '/api/x/../login',
    '/x/../api/login',
    '/api/%6cogin',
    '/%61pi/login',
    '/API/Login',
    '/api/LOGIN',
    '/api/login/',
    '/api/login//',
    '/api%2flogin',
    '/api%2Flogin',
    '/api\\login',
    '/api%5Clogin',
    '/api;v=1/login',
    '/api/login;jsessionid=1',
    '/api/x/..%2flogin',
    '/api/x/%2e%2e/login',
    '/api/..;/api/login',
    '/x//../api/login',
    '/x//../../api/login',
    '/.//api/login',
  ])('counts %s, which an app may take for it', async (path) => {
    expect(await counts('/api/login', path)).toBe(true)
  })

  test.each(['/api/logins', '/api/log/in', '/login', '/api', '/', '/api/login/x', '/v1/api/login'])('leaves %s alone', async (path) => {
    expect(await counts('/api/login', path)).toBe(false)
  })

  test.each([
    ['/api/:path*', '/api/../x'],
    ['/api/:path*', '/%61pi/x%ff'],
    ['/api/:path*', '/API'],
    ['/:team/login', '/Red//login'],
    ['/:team/login', '/red/%2e/LOGIN'],
    ['/files/:name([a-z]+)', '/FILES/ABC'],
    ['/files/:name(r[A-Z]{2,3}|é)', '/files/Rab'],
    ['/files/:name(rab|É)', '/files/%C3%A9'],
    ['/login/', '/login'],
    ['/Login', '/login'],
    ['/((?!static/).*)', '/static/../api'],
  ])('%s counts %s', async (source, path) => {
    expect(await counts(source, path)).toBe(true)
  })

  test('that leaves out a folder goes on leaving it out', async () => {
    expect(await counts('/((?!static/).*)', '/static/app.js')).toBe(false)
  })

  test('counts a request once, in however many ways its path can be read', async () => {
    const { ask } = gateFor({ rateLimits: [{ source: '/api/(.*)', requests: 3, windowSeconds: 60 }] })
    const answers = []
    for (let i = 0; i < 4; i++) answers.push(brief(await ask('/API//x/./y;z/')))
    expect(answers).toEqual(['forward as it is', 'forward as it is', 'forward as it is', limited])
  })

  test('costs a bounded time, whatever the path', () => {
    for (const path of [
      `/${'/'.repeat(8000)}x`,
      `/${'../'.repeat(2600)}x`,
      `/${';'.repeat(8000)}`,
      `/${'%2f'.repeat(2600)}`,
      `/${'%'.repeat(8000)}`,
    ]) {
      const began = performance.now()
      expect(pathReadings(path).length).toBeLessThanOrEqual(33)
      expect(performance.now() - began).toBeLessThan(100)
    }
  })
})
