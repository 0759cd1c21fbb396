import { describe, expect, it } from 'vitest'
import { readServerEnv } from './env'

describe('readServerEnv', () => {
  it('has a working default for every setting', () => {
    const env = readServerEnv({ SWITCHYARD_HOME: '/srv/sy' })
    expect(env).toMatchObject({
      home: '/srv/sy',
      port: 3000,
      edgeHttpPort: 8080,
      ownHosts: null,
      edgeHttpsPort: 8443,
      baseDomain: 'localhost',
      runtime: 'auto',
      databaseUrl: null,
      bootstrap: null,
    })
    expect(env.dockerSocket).toBe('/var/run/docker.sock')
  })

  it('names every problem at once and no value', () => {
    const read = () =>
      readServerEnv({
        PORT: 'abc',
        BASE_DOMAIN: 'https://x',
        DATABASE_URL: 'mysql://u:hunter22@h/d',
        SWITCHYARD_RUNTIME: 'vm',
        SWITCHYARD_BOOTSTRAP_PASSWORD: 'short',
      })
    for (const name of ['PORT', 'BASE_DOMAIN', 'DATABASE_URL', 'SWITCHYARD_RUNTIME', 'SWITCHYARD_BOOTSTRAP_PASSWORD']) expect(read).toThrow(name)
    expect(read).not.toThrow(/hunter22|short\b/)
  })

  it('wants bootstrap e-mail and password together, and the key only with them', () => {
    expect(() => readServerEnv({ SWITCHYARD_BOOTSTRAP_EMAIL: 'a@b.co' })).toThrow('belong together')
    expect(() => readServerEnv({ SWITCHYARD_BOOTSTRAP_API_KEY: 'k'.repeat(32) })).toThrow('SWITCHYARD_BOOTSTRAP_API_KEY')
    const env = readServerEnv({
      SWITCHYARD_BOOTSTRAP_EMAIL: 'a@b.co',
      SWITCHYARD_BOOTSTRAP_PASSWORD: 'password1',
      SWITCHYARD_BOOTSTRAP_API_KEY: 'k'.repeat(32),
    })
    expect(env.bootstrap).toEqual({ email: 'a@b.co', password: 'password1', apiKey: 'k'.repeat(32) })
  })

  it('treats an empty variable as unset', () => {
    expect(readServerEnv({ PORT: '', DATABASE_URL: '' })).toMatchObject({ port: 3000, databaseUrl: null })
  })

  it('hands proxies and registry to builds, and nothing else', () => {
    expect(readServerEnv({ HTTPS_PROXY: 'http://p:1', npm_config_registry: 'http://r', AWS_SECRET: 'x' }).builderEnv).toEqual({
      HTTPS_PROXY: 'http://p:1',
      npm_config_registry: 'http://r',
    })
  })

  it('reads where rewrites may lead outside of the machine', () => {
    const hosts = (list: string) => readServerEnv({ EDGE_REWRITE_HOSTS: list }).rewriteHosts
    expect(hosts('')).toEqual([])
    expect(hosts('API.example.com, *.example.org:8443,private:billing.internal,10.0.0.5:8080,[::1]:80')).toEqual([
      'api.example.com',
      '*.example.org:8443',
      'private:billing.internal',
      '10.0.0.5:8080',
      '[::1]:80',
    ])
    for (const wrong of ['https://a.test', '*', 'a.test/path', 'user@a.test']) expect(() => hosts(wrong)).toThrow('EDGE_REWRITE_HOSTS')
  })

  it('refuses two listeners on one port', () => {
    expect(() => readServerEnv({ PORT: '8080' })).toThrow('must differ')
  })
})
