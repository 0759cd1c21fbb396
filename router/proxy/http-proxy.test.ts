import { engineContract } from './contract'
import { createHttpProxyEngine } from './http-proxy'

engineContract('http-proxy', createHttpProxyEngine)
