import { randomUUID } from 'node:crypto'
import type { Duplex } from 'node:stream'
import grpc from '@grpc/grpc-js'
import protobuf from 'protobufjs'
import type { Engine } from '@/builder/engine'

/** A connection (gRPC on a hijacked HTTP/1.1 request) over which BuildKit fetches the requested secrets from us. */
export interface BuildSession {
  id: string
  close(): void
}

const getSecret = '/moby.buildkit.secrets.v1.Secrets/GetSecret'
const healthCheck = '/grpc.health.v1.Health/Check'
const serving = Buffer.from([8, 1])

const messages = protobuf.parse(`syntax="proto3"; package moby.buildkit.secrets.v1;
message GetSecretRequest { string ID = 1; map<string, string> annotations = 2; }
message GetSecretResponse { bytes data = 1; }`).root
const secretRequest = messages.lookupType('moby.buildkit.secrets.v1.GetSecretRequest')
const secretResponse = messages.lookupType('moby.buildkit.secrets.v1.GetSecretResponse')

/** Parameters of `dial` of the engine's transport; its types lack hijacked requests. */
interface Dialer {
  dial(options: object, callback: (error: Error | null, socket: Duplex) => void): void
}

export function openSession(engine: Engine, secrets: Readonly<Record<string, string>>): Promise<BuildSession> {
  const id = randomUUID()
  const headers = {
    Upgrade: 'h2c',
    'X-Docker-Expose-Session-Uuid': id,
    'X-Docker-Expose-Session-Name': 'switchyard',
    'X-Docker-Expose-Session-Sharedkey': '',
    'X-Docker-Expose-Session-Grpc-Method': [getSecret, healthCheck],
  }
  return new Promise((resolve, reject) => {
    const options = { method: 'POST', path: '/session', hijack: true, headers, statusCodes: { 200: true, 101: true, 500: 'server error' } }
    ;(engine.modem as unknown as Dialer).dial(options, (error, socket) => {
      if (error) return reject(error)
      // The engine closes the connection at the end of the build.
      socket.on('error', () => {})
      const server = secretServer(secrets)
      server.createConnectionInjector(grpc.ServerCredentials.createInsecure()).injectConnection(socket)
      resolve({
        id,
        close() {
          server.forceShutdown()
          socket.destroy()
        },
      })
    })
  })
}

function secretServer(secrets: Readonly<Record<string, string>>): grpc.Server {
  const server = new grpc.Server()
  const unary = { requestStream: false, responseStream: false } as const
  const secretService = {
    GetSecret: {
      ...unary,
      path: getSecret,
      requestSerialize: (message: object) => Buffer.from(secretRequest.encode(message).finish()),
      requestDeserialize: (bytes: Buffer) => secretRequest.decode(bytes) as unknown as { ID: string },
      responseSerialize: (message: { data: Buffer }) => Buffer.from(secretResponse.encode(message).finish()),
      responseDeserialize: (bytes: Buffer) => secretResponse.decode(bytes) as unknown as { data: Buffer },
    },
  }
  server.addService(secretService, {
    GetSecret(call: grpc.ServerUnaryCall<{ ID: string }, { data: Buffer }>, reply: grpc.sendUnaryData<{ data: Buffer }>) {
      const value = Object.hasOwn(secrets, call.request.ID) ? secrets[call.request.ID] : undefined
      if (value === undefined) reply({ code: grpc.status.NOT_FOUND, details: `this project has no build variable ${call.request.ID}` })
      else reply(null, { data: Buffer.from(value) })
    },
  })
  const bytes = (buffer: Buffer) => buffer
  const healthService = {
    Check: { ...unary, path: healthCheck, requestSerialize: bytes, requestDeserialize: bytes, responseSerialize: bytes, responseDeserialize: bytes },
  }
  server.addService(healthService, { Check: (_call: unknown, reply: grpc.sendUnaryData<Buffer>) => reply(null, serving) })
  return server
}
