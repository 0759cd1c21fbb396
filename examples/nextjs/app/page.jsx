import { connection } from 'next/server'
import { Clock } from './clock'

export default async function Page() {
  // Rendered on every request: the greeting is read when somebody visits, not when the app is built.
  await connection()
  const greeting = process.env.GREETING || 'Hello from Switchyard'
  const facts = [
    ['Rendered on the server', new Date().toISOString().slice(0, 19).replace('T', ' ') + ' UTC'],
    ['Node', process.version],
    ['Instance up for', `${Math.round(process.uptime())} s`],
  ]
  return (
    <main>
      <img src="/mark.svg" alt="" width="56" height="56" />
      <h1>{greeting}</h1>
      <p className="lead">This page is a Next.js app. It was built from source, started, checked and put online by your own Switchyard.</p>
      <dl>
        {facts.map(([term, value]) => (
          <div key={term}>
            <dt>{term}</dt>
            <dd>{value}</dd>
          </div>
        ))}
        <div>
          <dt>Live from /api/time</dt>
          <dd>
            <Clock />
          </dd>
        </div>
      </dl>
      <section>
        <h2>Make it yours</h2>
        <ol>
          <li>
            Set the variable <code>GREETING</code> in the project’s settings, redeploy, and read it above.
          </li>
          <li>
            Edit <code>app/page.jsx</code> and run <code>switchyard deploy</code>. The new version takes over without a failed request.
          </li>
        </ol>
      </section>
    </main>
  )
}
