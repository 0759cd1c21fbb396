/** Words in names of parameters with secret values: sign-in links, API keys, signatures, OAuth codes. */
const secretWords = new Set([
  ...['token', 'secret', 'password', 'passwd', 'passphrase', 'pass', 'pwd', 'pin', 'key', 'apikey', 'auth', 'authorization', 'credential'],
  ...[
    'credentials',
    'code',
    'otp',
    'totp',
    'sig',
    'signature',
    'hmac',
    'session',
    'sessionid',
    'sid',
    'jwt',
    'ticket',
    'invite',
    'nonce',
    'assertion',
  ],
  ...[
    'accesstoken',
    'refreshtoken',
    'idtoken',
    'authtoken',
    'clientsecret',
    'accesskey',
    'secretkey',
    'privatekey',
    'samlresponse',
    'bearer',
    'magic',
  ],
])

/**
 * A request target for the log: values of secret parameters (`token`, `api_key`, `X-Amz-Signature`) are replaced by `***`. Names may be
 * percent-encoded.
 */
export function maskedTarget(target: string): string {
  const query = target.indexOf('?')
  if (query === -1) return target
  return target.slice(0, query) + target.slice(query).replace(/([?&;])([^?&;=#]+)=([^&;#]*)/g, maskedPair)
}

function maskedPair(pair: string, before: string, name: string): string {
  return isSecret(decoded(name)) ? `${before}${name}=***` : pair
}

function isSecret(name: string): boolean {
  const words = name.replace(/([a-z0-9])([A-Z])/g, '$1 $2').toLowerCase()
  return words.split(/[^a-z0-9]+/).some((word) => secretWords.has(word)) || secretWords.has(words.replaceAll(/[^a-z0-9]/g, ''))
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}
