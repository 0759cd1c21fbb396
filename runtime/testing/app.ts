/** The app of the contract suite: a plain Node server that misbehaves on request. */
export const testApp = `
'use strict'
const http = require('node:http'), net = require('node:net'), dns = require('node:dns'), fs = require('node:fs'), cp = require('node:child_process')
const held = []
process.on('SIGTERM', () => {
  console.log('got SIGTERM')
  if (process.env.ON_TERM === 'ignore') return
  process.exit(0)
})
const actions = {
  env: (q) => ({ value: process.env[q.get('name')] ?? null }),
  allEnv: () => process.env,
  whoami: () => ({ uid: process.getuid(), gid: process.getgid(), groups: process.getgroups(), cwd: process.cwd(), pid: process.pid, heap: require('node:v8').getHeapStatistics().heap_size_limit }),
  log: (q) => { for (let i = Number(q.get('from') ?? 0); i < Number(q.get('to')); i++) (q.get('stream') === 'stderr' ? process.stderr : process.stdout).write('line ' + i + '\\n'); return {} },
  long: (q) => { process.stdout.write('x'.repeat(Number(q.get('bytes'))) + '\\n'); return {} },
  exit: (q) => { console.error('dying as told'); setTimeout(() => process.exit(Number(q.get('code'))), 10); return {} },
  // Native memory outside of V8's heap, limited by the kernel only.
  allocate: () => { setInterval(() => held.push(Buffer.alloc(8 * 1024 * 1024, 1)), 1); return {} },
  heap: () => { setInterval(() => { for (let i = 0; i < 1e5; i++) held.push({ i, t: 'x' + i }) }, 0); return {} },
  // Limited by the app too: at most 400 processes, each ends after 15 s.
  forkBomb: () => new Promise((resolve) => {
    let started = 0, failed = 0, asked = 0
    const one = () => {
      if (asked++ >= 400) return resolve({ started, failed })
      const child = cp.spawn(process.execPath, ['-e', 'setTimeout(() => {}, 15000)'], { stdio: 'ignore' })
      child.once('spawn', () => { started++; setImmediate(one) })
      child.once('error', () => { failed++; if (failed >= 5) resolve({ started, failed }); else setImmediate(one) })
    }
    one()
  }),
  // Leaves the session, then its parent exits: an orphan.
  stray: () => new Promise((resolve) => {
    const inner = "const c=require('child_process').spawn(process.execPath,['-e','setInterval(()=>{},1000)'],{detached:true,stdio:'ignore'});c.unref();console.log(c.pid)"
    cp.execFile(process.execPath, ['-e', inner], (error, out) => resolve({ pid: Number(out), error: error && error.message }))
  }),
  connect: (q) => new Promise((resolve) => {
    const socket = net.connect({ host: q.get('host'), port: Number(q.get('port')) })
    const end = (result) => { socket.destroy(); resolve({ result }) }
    socket.setTimeout(Number(q.get('ms') ?? 1500), () => end('timeout'))
    socket.once('connect', () => end('connected'))
    socket.once('error', (error) => end(error.code))
  }),
  loop: (q) => new Promise((resolve) => {
    const server = net.createServer((socket) => socket.end()).listen(0, q.get('host'), async () => {
      const result = await actions.connect(new URLSearchParams({ host: '127.0.0.1', port: String(server.address().port) }))
      server.close()
      resolve(result)
    })
  }),
  resolve: (q) => new Promise((resolve) => dns.lookup(q.get('name'), (error, address) => resolve({ address: address ?? null, error: error && error.code }))),
  write: (q) => { try { fs.writeFileSync(q.get('file'), 'x'); return { ok: true } } catch (error) { return { ok: false, code: error.code } } },
  // Until an allocation is refused, at most 512 MiB.
  fill: (q) => { const block = Buffer.alloc(1024 * 1024, 1); let mebibytes = 0; const file = fs.openSync(q.get('file'), 'w'); try { for (; mebibytes < 512; mebibytes++) fs.writeSync(file, block); return { mebibytes, code: null } } catch (error) { return { mebibytes, code: error.code } } finally { fs.closeSync(file) } },
  remove: (q) => { fs.rmSync(q.get('file'), { force: true }); return {} },
  read: (q) => { try { return { text: fs.readFileSync(q.get('file'), 'utf8').slice(0, 1000) } } catch (error) { return { code: error.code } } },
  gateway: () => ({ route: fs.readFileSync('/proc/net/route', 'utf8') }),
  burn: () => { const from = process.cpuUsage(); while (process.cpuUsage(from).user < 300000); return {} },
}
http.createServer(async (request, response) => {
  const url = new URL(request.url, 'http://app')
  const action = actions[url.pathname.slice(1)]
  const body = action ? await action(url.searchParams) : { hello: 'world' }
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify(body))
}).listen(Number(process.env.PORT), process.env.HOST, () => console.log('listening'))
`
