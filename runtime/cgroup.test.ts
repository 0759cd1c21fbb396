import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseMembership, parseMounts, ranOutOfMemory, readCgroupStats } from './cgroup'
import { createCgroup } from './process/groups'

const v1Mounts = `31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
36 31 0:33 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw`
const v2Mounts = '30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot'

describe('control groups', () => {
  let root: string
  beforeEach(async () => {
    root = await mkdtemp(path.join(tmpdir(), 'sy-cgroup-'))
  })
  afterEach(() => rm(root, { recursive: true, force: true }))

  it('are found on v1 (with an empty v2 beside it) and on v2', () => {
    expect(parseMounts(v1Mounts)).toMatchObject({
      version: 1,
      roots: { memory: '/sys/fs/cgroup/memory', cpu: '/sys/fs/cgroup/cpu,cpuacct', cpuacct: '/sys/fs/cgroup/cpu,cpuacct' },
    })
    expect(parseMounts(v2Mounts)).toEqual({ version: 2, root: '/sys/fs/cgroup' })
    expect(parseMounts('1 2 0:3 / / rw - ext4 /dev/vda rw')).toBeNull()
  })

  it('of a container are found by its process, whichever driver the engine uses', () => {
    const v1 = parseMounts(v1Mounts)
    const v2 = parseMounts(v2Mounts)
    expect(v1 && parseMembership('9:memory:/docker/abc\n8:pids:/docker/abc\n1:cpu,cpuacct:/docker/abc\n0::/', v1)).toEqual({
      version: 1,
      directories: {
        memory: '/sys/fs/cgroup/memory/docker/abc',
        cpu: '/sys/fs/cgroup/cpu,cpuacct/docker/abc',
        cpuacct: '/sys/fs/cgroup/cpu,cpuacct/docker/abc',
        pids: '/sys/fs/cgroup/pids/docker/abc',
      },
    })
    expect(v2 && parseMembership('0::/system.slice/docker-abc.scope', v2)).toEqual({
      version: 2,
      directory: '/sys/fs/cgroup/system.slice/docker-abc.scope',
    })
  })

  it('v2: counters are read, without the reclaimable page cache', async () => {
    const files = {
      'memory.current': '5000\n',
      'memory.stat': 'anon 1\ninactive_file 2000\nactive_file 7\n',
      'memory.max': 'max\n',
      'cpu.stat': 'usage_usec 2500000\nuser_usec 1\n',
      'pids.current': '7\n',
      'memory.events': 'low 0\nmax 4\noom 1\noom_kill 1\n',
    }
    for (const [name, text] of Object.entries(files)) await writeFile(path.join(root, name), text)
    const group = { version: 2, directory: root } as const
    expect(await readCgroupStats(group, 9000)).toMatchObject({ cpuSeconds: 2.5, memoryBytes: 3000, memoryLimitBytes: 9000, pids: 7 })
    expect(await ranOutOfMemory(group)).toBe(true)
    await writeFile(path.join(root, 'memory.events'), 'oom 0\noom_kill 0\n')
    expect(await ranOutOfMemory(group)).toBe(false)
  })

  it('v2: limits are written, and handed down by the parents', async () => {
    await mkdir(path.join(root, 'switchyard'))
    const group = await createCgroup('inst.one', { memoryBytes: 1000, cpus: 0.5, pids: 9 }, { version: 2, root })
    expect(group).toEqual({ version: 2, directory: path.join(root, 'switchyard/inst.one') })
    const read = (file: string) => readFile(path.join(root, file), 'utf8')
    expect(await read('switchyard/inst.one/memory.max')).toBe('1000')
    expect(await read('switchyard/inst.one/cpu.max')).toBe('50000 100000')
    expect(await read('switchyard/inst.one/pids.max')).toBe('9')
    expect(await read('cgroup.subtree_control')).toBe('+memory +cpu +pids')
    expect(await read('switchyard/cgroup.subtree_control')).toBe('+memory +cpu +pids')
  })

  it('that may not be made are no error: other limits apply', async () => {
    expect(await createCgroup('x', { memoryBytes: 1, cpus: 1, pids: 1 }, null)).toBeNull()
    expect(await createCgroup('x', { memoryBytes: 1, cpus: 1, pids: 1 }, { version: 2, root: '/proc' })).toBeNull()
  })
})
