import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { chainNames, chainText } from './build-firewall'
import { BuildGroups, groupPlace } from './build-groups'

const limits = { memoryBytes: 1024, cpus: 2, pids: 10, timeoutMs: 1 }
let root: string
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'groups-'))
})
afterEach(() => rm(root, { recursive: true, force: true }))

const step = 'docker-abcdefghijklmnopqrstuvwxy.scope'
const container = `docker-${'0123456789abcdef'.repeat(4)}.scope`
const content = (...names: string[]) => readFile(path.join(root, ...names), 'utf8').catch(() => null)

test('where systemd keeps steps beside containers, steps are limited as they appear and containers are left alone', async () => {
  const place = groupPlace({ CgroupDriver: 'systemd', CgroupVersion: '2' }, root)
  if (!place) throw new Error('no place')
  await mkdir(path.join(root, 'system.slice', container), { recursive: true })
  const build = await new BuildGroups(place).begin(limits)
  await mkdir(path.join(root, 'system.slice', step))
  await expect.poll(() => content('system.slice', step, 'memory.max')).toBe('1024')
  await expect.poll(() => content('system.slice', step, 'pids.max')).toBe('10')
  await expect.poll(() => content('system.slice', step, 'cpu.max')).toBe('200000 100000')
  await writeFile(path.join(root, 'system.slice', step, 'memory.events'), 'oom 1\noom_kill 3\n')
  await expect.poll(() => build.evidence().oomKills).toBe(3)
  expect(await content('system.slice', container, 'memory.max')).toBeNull()
  await build.end()
})

test('a group that holds steps alone is limited to what the running builds may take together, and freed after the last', async () => {
  for (const controller of ['memory', 'pids', 'cpu']) await mkdir(path.join(root, controller))
  const place = groupPlace({ CgroupDriver: 'cgroupfs', CgroupVersion: '1' }, root)
  if (!place) throw new Error('no place')
  const groups = new BuildGroups(place)
  const memory = () => content('memory', 'docker/buildkit', 'memory.limit_in_bytes')
  const one = await groups.begin(limits)
  expect(await memory()).toBe('1024')
  const two = await groups.begin(limits)
  expect(await memory()).toBe('2048')
  expect(one.evidence()).toEqual({ oomKills: 0, forksRefused: 0 })
  await one.end()
  expect(await memory()).toBe('1024')
  await two.end()
  expect(await memory()).toBe('-1')
  expect(await content('pids', 'docker/buildkit', 'pids.max')).toBe('max')
})

test('an engine without control groups is one whose builds cannot be limited', () => {
  expect(groupPlace({ CgroupDriver: 'none' })).toBeNull()
})

test('addresses that are no container of others reach answers, nameservers and the named proxies of this machine, and nothing else of it', () => {
  const names = chainNames('installation')
  for (const name of Object.values(names)) expect(name.length).toBeLessThanOrEqual(28)
  const text = chainText(names, { bridge: 'docker0', others: ['172.17.0.5'], nameservers: ['10.0.0.1'], allowed: ['10.0.0.1:3128'] })
  const rules = text.split('\n').filter((line) => line.startsWith(`-A ${names.input} `))
  expect(rules.map((rule) => rule.slice(names.input.length + 4))).toEqual([
    '-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN',
    '-s 172.17.0.5/32 -j RETURN',
    '-d 10.0.0.1/32 -p tcp -m tcp --dport 53 -j RETURN',
    '-d 10.0.0.1/32 -p udp -m udp --dport 53 -j RETURN',
    '-d 10.0.0.1/32 -p tcp -m tcp --dport 3128 -j RETURN',
    '-j DROP',
  ])
})
