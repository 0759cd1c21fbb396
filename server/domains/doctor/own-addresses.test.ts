import { isIP } from 'node:net'
import type { NetworkInterfaceInfo } from 'node:os'
import { expect, test } from 'vitest'
import { outwardAddresses, ownAddresses } from './own-addresses'

const on = (...addresses: string[]): NetworkInterfaceInfo[] =>
  addresses.map(
    (address) => ({ address, family: isIP(address) === 6 ? 'IPv6' : 'IPv4', internal: address.startsWith('127.') }) as NetworkInterfaceInfo,
  )

/** A server behind NAT, with a management network, VPNs and bridges. */
const private_ = {
  lo: on('127.0.0.1'),
  eth1: on('10.9.0.4', '10.9.0.4'),
  ens5: on('172.31.4.7'),
  docker0: on('172.17.0.1'),
  wg0: on('10.8.0.1'),
  tailscale0: on('100.64.0.9'),
  enp7s0: on('192.168.50.2', 'fd00::2'),
}

test('behind private addresses it is the one from which the route to the internet leaves, once', () => {
  expect(ownAddresses([], ['172.31.4.7', null], private_)).toMatchObject({
    addresses: ['172.31.4.7'],
    others: ['10.9.0.4', '192.168.50.2'],
    origin: 'private',
  })
})

test('without such a route it is one address, not one for each interface', () => {
  expect(ownAddresses([], [null, null], private_).addresses).toEqual(['10.9.0.4'])
})

test('of several public addresses it is the one the route uses, of each family', () => {
  const interfaces = { ...private_, eth0: on('51.15.0.4', '51.15.0.5', '2606:4700::1', '2606:4700::2') }
  expect(ownAddresses([], ['51.15.0.5', '2606:4700::2'], interfaces).addresses).toEqual(['51.15.0.5', '2606:4700::2'])
})

test('those an operator named are taken as they are, each once', () => {
  expect(ownAddresses(['203.0.113.7', '203.0.113.8', '203.0.113.7'], ['172.31.4.7', null], private_)).toMatchObject({
    addresses: ['203.0.113.7', '203.0.113.8'],
    origin: 'configured',
  })
})

test('the routes of this machine are asked without a packet', async () => {
  for (const [at, address] of (await outwardAddresses()).entries()) expect(address === null || isIP(address) === [4, 6][at]).toBe(true)
})
