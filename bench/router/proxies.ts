import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { LinkHub } from '@/server/link/hub'
import { routerFlags } from '@/server/node-flags'
import { type Fixtures, host, makeTable } from './fixtures'
import { freePorts, type Running, startOn, untilListening } from './processes'

export const proxyCore = 0
export const loadCore = 1

export interface Contender extends Running {
  name: string
  httpPort: number
  httpsPort: number
}

const nodeBinary = path.resolve('node_modules/.bin/node')

/** What every proxy stands in front of: nginx, 1 KiB from memory. */
export async function startBackend(fixtures: Fixtures): Promise<{ ports: number[]; stop(): Promise<void> }> {
  const ports = await freePorts(2)
  // An upload is read to its end before it is answered.
  const others = `location = /big.bin { root ${fixtures.files}; } location = /upload { proxy_pass http://127.0.0.1:${ports[0]}/; }`
  const servers = ports
    .map((port) => `server { listen 127.0.0.1:${port} backlog=4096; location / { return 200 "${'x'.repeat(1024)}"; } ${others} }`)
    .join('\n')
  const backend = await startNginx(fixtures, 'backend', loadCore, servers)
  await untilListening(ports[0] ?? 0, backend)
  return { ports, stop: backend.stop }
}

/** `limits`: how much one connection may ask for; nginx's own answer to a flood of streams. */
async function startNginx(fixtures: Fixtures, name: string, core: number, servers: string, limits = 'keepalive_requests 1000000000;') {
  const directory = path.join(fixtures.directory, name)
  mkdirSync(directory, { recursive: true })
  const config = `daemon off; worker_processes 1; pid ${directory}/pid; error_log ${directory}/error.log; worker_rlimit_nofile 60000;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 30000; }
http { access_log off; ${limits} keepalive_timeout 300s; default_type text/plain; client_body_temp_path ${directory}/b;
proxy_temp_path ${directory}/p; fastcgi_temp_path ${directory}/f; uwsgi_temp_path ${directory}/u; scgi_temp_path ${directory}/s;
${servers} }`
  writeFileSync(path.join(directory, 'nginx.conf'), config)
  return startOn(core, ['nginx', '-p', directory, '-c', path.join(directory, 'nginx.conf')])
}

/** No access log, no rules: the most it can do; `careful`: with its own limits. */
export async function startNginxProxy(fixtures: Fixtures, backends: number[], name: 'nginx' | 'careful' = 'nginx'): Promise<Contender> {
  const [httpPort = 0, httpsPort = 0] = await freePorts(2)
  const proxy = `location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme; proxy_max_temp_file_size 0; }`
  const servers = `upstream app { ${backends.map((port) => `server 127.0.0.1:${port};`).join(' ')} keepalive 256; keepalive_requests 1000000000; }
ssl_certificate ${fixtures.directory}/chain.pem; ssl_certificate_key ${fixtures.directory}/key.pem; ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets on;
server { listen 127.0.0.1:${httpPort} backlog=4096; listen 127.0.0.1:${httpsPort} ssl http2 backlog=4096; server_name ${host}; ${proxy} }
server { listen 127.0.0.1:${httpPort}; server_name static.example.test; sendfile on; tcp_nopush on; open_file_cache max=1000; root ${fixtures.files}; }`
  const nginx = await startNginx(fixtures, name, proxyCore, servers, name === 'careful' ? '' : undefined)
  await untilListening(httpPort, nginx)
  return { ...nginx, name, httpPort, httpsPort }
}

export async function startHaproxy(fixtures: Fixtures, backends: number[]): Promise<Contender> {
  const [httpPort = 0, httpsPort = 0] = await freePorts(2)
  const file = path.join(fixtures.directory, 'haproxy.cfg')
  writeFileSync(
    file,
    `global
  nbthread 1
  maxconn 9000
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  option forwardfor
  http-reuse always
frontend f
  bind 127.0.0.1:${httpPort}
  bind 127.0.0.1:${httpsPort} ssl crt ${fixtures.directory}/both.pem alpn h2,http/1.1
  default_backend app
backend app
${backends.map((port, i) => `  server s${i} 127.0.0.1:${port}`).join('\n')}
`,
  )
  const haproxy = startOn(proxyCore, ['haproxy', '-db', '-f', file])
  await untilListening(httpPort, haproxy)
  return { ...haproxy, name: 'haproxy', httpPort, httpsPort }
}

export async function startCaddy(fixtures: Fixtures, backends: number[]): Promise<Contender> {
  const [httpPort = 0, httpsPort = 0] = await freePorts(2)
  const file = path.join(fixtures.directory, 'Caddyfile')
  const to = backends.map((port) => `127.0.0.1:${port}`).join(' ')
  writeFileSync(
    file,
    `{
  admin off
  auto_https off
}
http://:${httpPort} {
  reverse_proxy ${to}
}
https://${host}:${httpsPort} {
  tls ${fixtures.directory}/chain.pem ${fixtures.directory}/key.pem
  reverse_proxy ${to}
}
`,
  )
  const env = { ...process.env, GOMAXPROCS: '1', HOME: fixtures.directory, XDG_DATA_HOME: fixtures.directory, XDG_CONFIG_HOME: fixtures.directory }
  const caddy = startOn(proxyCore, ['caddy', 'run', '--adapter', 'caddyfile', '--config', file], { env })
  await untilListening(httpPort, caddy)
  return { ...caddy, name: 'caddy', httpPort, httpsPort }
}

/** One worker of ours as the supervisor starts it, given its table and certificates by a real control link. */
export async function startRouter(
  fixtures: Fixtures,
  backends: number[],
  options: { name: string; engine: 'lean' | 'http-proxy'; routes: number },
): Promise<Contender & { hub: LinkHub }> {
  const [httpPort = 0, httpsPort = 0] = await freePorts(2)
  const home = path.join(fixtures.directory, options.name)
  const hub = new LinkHub({ socketPath: path.join(home, 'run', 'edge.sock'), expectedWorkers: 1 })
  hub.messages.onAsk('certificates', async () => ({ certificates: [{ id: 'bench', chainPem: fixtures.chainPem, keyPem: fixtures.keyPem }] }))
  await hub.start()
  const env = {
    PATH: process.env.PATH,
    NODE_ENV: 'production',
    SWITCHYARD_HOME: home,
    EDGE_HOST: '127.0.0.1',
    EDGE_HTTP_PORT: String(httpPort),
    EDGE_HTTPS_PORT: String(httpsPort),
    EDGE_ENGINE: options.engine,
    EDGE_LOG_LEVEL: 'warn',
    EDGE_KEEP_ALIVE_MS: '300000',
  }
  const router = startOn(
    proxyCore,
    [nodeBinary, ...(process.env.BENCH_NODE_FLAGS?.split(' ') ?? routerFlags), process.env.BENCH_ROUTER ?? 'dist/router.mjs'],
    {
      env: env as unknown as NodeJS.ProcessEnv,
    },
  )
  await untilListening(httpPort, router)
  await hub.publish(makeTable(fixtures, options.routes, backends, httpsPort), { deadlineMs: 120_000 })
  return {
    ...router,
    name: options.name,
    httpPort,
    httpsPort,
    hub,
    stop: async () => {
      await router.stop()
      await hub.close()
    },
  }
}
