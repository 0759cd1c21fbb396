import './style.css'

/** Two pages of one single-page app: `/about` exists only in the browser, so the server must fall back to index.html. */
const pages: Record<string, { title: string; text: string }> = {
  '/': { title: 'Hello from Vite', text: 'A static build, served by the platform’s own file server.' },
  '/about': { title: 'About this page', text: 'There is no about.html: this route lives in the browser, and a reload still finds it.' },
}

function render(): void {
  const page = pages[location.pathname] ?? { title: 'Not here', text: `Nothing lives at ${location.pathname}.` }
  const app = document.querySelector<HTMLDivElement>('#app')
  if (!app) return
  const heading = Object.assign(document.createElement('h1'), { textContent: page.title })
  const text = Object.assign(document.createElement('p'), { textContent: page.text })
  const nav = document.createElement('nav')
  for (const [href, label] of [['/', 'Home'], ['/about', 'About']] as const)
    nav.append(Object.assign(document.createElement('a'), { href, textContent: label }))
  app.replaceChildren(nav, heading, text)
}

document.addEventListener('click', (event) => {
  const link = event.target instanceof Element ? event.target.closest('a') : null
  if (!link || link.origin !== location.origin) return
  event.preventDefault()
  history.pushState(null, '', link.href)
  render()
})
window.addEventListener('popstate', render)
render()
