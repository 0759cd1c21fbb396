import type { PageText } from './page-text'

const style = `
:root{color-scheme:light dark;--bg:#fafafa;--card:#fff;--line:#e4e4e7;--text:#18181b;--soft:#52525b;--faint:#71717a;--accent:#2563eb;--on:#fff;--warn:#b45309;--warnbg:#fef3c7}
@media (prefers-color-scheme:dark){:root{--bg:#09090b;--card:#111114;--line:#27272a;--text:#fafafa;--soft:#a1a1aa;--faint:#8f8f99;--accent:#60a5fa;--on:#09090b;--warn:#fbbf24;--warnbg:#2a2008}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:24px;background:var(--bg);color:var(--text);font:16px/1.55 ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;-webkit-font-smoothing:antialiased}
main{width:100%;max-width:560px;background:var(--card);border:1px solid var(--line);border-radius:16px;padding:32px;box-shadow:0 1px 2px #0000000a,0 12px 40px -16px #0000001f}
.badge{display:inline-flex;align-items:center;gap:8px;font-size:13px;font-weight:600;font-variant-numeric:tabular-nums;color:var(--warn);background:var(--warnbg);border-radius:999px;padding:3px 11px}
h1{font-size:24px;line-height:1.25;letter-spacing:-.02em;margin:18px 0 8px;overflow-wrap:anywhere}
p{margin:0;color:var(--soft);overflow-wrap:anywhere}
.host{margin:18px 0 0;padding:10px 14px;border:1px solid var(--line);border-radius:10px;font:14px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
h2{font-size:13px;font-weight:600;margin:24px 0 8px}
ul{margin:0;padding-left:20px;color:var(--soft)}li{margin:5px 0;overflow-wrap:anywhere}
a.button{display:inline-block;margin-top:24px;padding:9px 16px;border-radius:10px;background:var(--accent);color:var(--on);font-size:14px;font-weight:600;text-decoration:none}
a.button:focus-visible{outline:2px solid var(--accent);outline-offset:3px}
footer{margin-top:28px;padding-top:16px;border-top:1px solid var(--line);display:flex;flex-wrap:wrap;gap:4px 16px;justify-content:space-between;font-size:12px;color:var(--faint)}
code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;user-select:all}
@media (max-width:480px){main{padding:24px 20px}}
`.replaceAll('\n', '')

/** Escapes text for element content and quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"'`]/g, (sign) => `&#${sign.charCodeAt(0)};`)
}

export interface HtmlContext {
  host: string | null
  requestId: string
  dashboardUrl: string | null
}

/** A self-contained page: no scripts, fonts or other external resources. */
export function renderHtml(text: PageText, context: HtmlContext): string {
  const { host, requestId, dashboardUrl } = context
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex"><title>${escapeHtml(text.title)}</title><style>${style}</style></head>
<body><main><span class="badge">${text.status}</span>
<h1>${escapeHtml(text.title)}</h1>
<p>${escapeHtml(text.message)}</p>
${host === null ? '' : `<div class="host">${escapeHtml(host)}</div>`}
<h2>What to do</h2>
<ul>${text.actions.map((action) => `<li>${escapeHtml(action)}</li>`).join('')}</ul>
${dashboardUrl === null ? '' : `<a class="button" href="${escapeHtml(dashboardUrl)}">Open the dashboard</a>`}
<footer><span>Request <code>${escapeHtml(requestId)}</code></span><span>Switchyard</span></footer>
</main></body></html>
`
}
