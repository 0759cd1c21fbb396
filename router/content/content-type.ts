import { lookup } from 'mrmime'

/** Text types that need a charset parameter: build tools write UTF-8. */
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
/** Directories in which build tools put only content-hashed files. */
const hashedFolder = /(?:^|\/)(?:_next\/static|_app\/immutable|_astro|_nuxt)\//
const assetFolder = /(?:^|\/)assets\//
/**
 * Vite's hash: eight base64url characters with upper and lower case: `index-DiwrgTda.js`, but not `my-language.js`, not `img-20240101.jpg`.
 */
const assetName = new RegExp(`[.-](?=[\\w-]*[A-Z])(?=[\\w-]*[a-z])[\\w-]{8}\\.${media}$`)
/** Hexadecimal hash with at least one digit and one letter: `main.3f2a1b9c.js`, but not `report-20240101.html`. */
const hexName = new RegExp(`[.-](?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{8,64}\\.(?:chunk\\.|bundle\\.|min\\.)?${media}$`)

/** Whether the name contains a content hash, so that the file may be cached forever. HTML pages never are. */
export function isImmutable(name: string): boolean {
  if (name.endsWith('.html')) return false
  return hashedFolder.test(name) || (assetFolder.test(name) && assetName.test(name)) || hexName.test(name)
}

/** Cache-Control of a static file. */
export const cacheControlOf = (name: string): string =>
  isImmutable(name) ? 'public, max-age=31536000, immutable' : 'public, max-age=0, must-revalidate'
