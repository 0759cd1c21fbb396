import { lookup } from 'mrmime'

/** Types whose bytes are text without saying in which encoding: build tools write UTF-8. */
const utf8 = /^(?:text\/|application\/(?:javascript|json|xml|manifest\+json|ld\+json|x-sh)$|[a-z]+\/[\w.-]+\+(?:json|xml)$)/

/** Content-Type by the name's extension. */
export function contentTypeOf(name: string): string {
  const base = name.slice(name.lastIndexOf('/') + 1)
  const type = base.includes('.') ? lookup(base) : wellKnown.get(name)
  if (type === undefined) return 'application/octet-stream'
  return utf8.test(type) ? `${type}; charset=utf-8` : type
}

/** Files without an extension that browsers and agents expect as JSON. */
const wellKnown = new Map([
  ['.well-known/apple-app-site-association', 'application/json'],
  ['apple-app-site-association', 'application/json'],
])

const media = '(?:m?js|css|json|wasm|map|woff2?|ttf|otf|eot|png|jpe?g|webp|avif|svg|gif|ico|mp[34]|webm|ogg|txt)'
/** Folders into which build tools write nothing but files named by their content. */
const hashedFolder = /(?:^|\/)(?:_next\/static|_app\/immutable|_astro|_nuxt)\//
const assetFolder = /(?:^|\/)assets\//
/** Vite's eight of base64url, capitals and small letters among them: `index-DiwrgTda.js`, but not `my-language.js`, not `img-20240101.jpg`. */
const assetName = new RegExp(`[.-](?=[\\w-]*[A-Z])(?=[\\w-]*[a-z])[\\w-]{8}\\.${media}$`)
/** Hexadecimal with a digit and a letter, anywhere: `main.3f2a1b9c.js`, but not `report-20240101.html`. */
const hexName = new RegExp(`[.-](?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{8,64}\\.(?:chunk\\.|bundle\\.|min\\.)?${media}$`)

/** Whether the name changes with the content, so that it may be kept for ever. Pages never are. */
export function isImmutable(name: string): boolean {
  if (name.endsWith('.html')) return false
  return hashedFolder.test(name) || (assetFolder.test(name) && assetName.test(name)) || hexName.test(name)
}

/** Cache-Control of a static file. */
export const cacheControlOf = (name: string): string =>
  isImmutable(name) ? 'public, max-age=31536000, immutable' : 'public, max-age=0, must-revalidate'
