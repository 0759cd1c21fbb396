/** Lines a `buildLines` build writes, one every 150 ms: long enough to be watched. */
export const buildLines = 20

/** A server without dependencies whose build can be watched and whose page tells a variable. */
export function watchableApp(version: string): Record<string, string> {
  return {
    'package.json': JSON.stringify({
      name: 'greeter',
      version: '1.0.0',
      private: true,
      scripts: { build: 'node build.js', start: 'node server.js' },
    }),
    'build.js': `
let line = 0
const timer = setInterval(() => {
  line++
  console.log('\\u001b[32mbuild line ' + line + ' of ${buildLines}\\u001b[0m')
  if (line === ${buildLines}) clearInterval(timer)
}, 150)
`,
    'server.js': `
const http = require('node:http')
const page = '<!doctype html><title>Greeter</title><h1>' + (process.env.GREETING ?? 'no greeting') + '</h1><p>version ${version}</p>'
const server = http.createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'text/html' })
  response.end(page)
})
server.listen(process.env.PORT, process.env.HOST, () => console.log('greeter listens'))
process.on('SIGTERM', () => server.close(() => process.exit(0)))
`,
  }
}
