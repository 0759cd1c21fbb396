import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { type Action, actions, can, refusedTo, requiredRole, roles } from '../teams/policy'
import { appRouter } from './router'

const app = fileURLToPath(new URL('../../app', import.meta.url))

/** What the dashboard may ask the server to do, by its path in the router: `domains.add` needs `domain.write`. */
const procedures = appRouter._def.procedures as unknown as Record<string, { _def: { type: string; meta?: { access?: string } } }>

/** The dashboard's own modules with their texts, and who imports whom. */
async function readModules(): Promise<Map<string, { text: string; importers: string[] }>> {
  const entries = await readdir(app, { recursive: true })
  const files = entries.filter((file) => /\.tsx?$/.test(file) && !file.includes('.test.'))
  const modules = new Map<string, { text: string; importers: string[] }>()
  for (const file of files) modules.set(file.replace(/\.tsx?$/, ''), { text: await readFile(path.join(app, file), 'utf8'), importers: [] })
  for (const [name, { text }] of modules)
    for (const [, from = ''] of text.matchAll(/from '([^']+)'/g))
      modules.get(from.startsWith('@/app/') ? from.slice(6) : path.join(path.dirname(name), from))?.importers.push(name)
  return modules
}

/** Subjects that the dashboard does not show: REST alone offers them. */
const isByRestAlone = (called: string) => called === 'webhooks.createOfTeam'

describe('what a role may not do is not offered to it', () => {
  it('every role is told all that the server refuses it, and nothing else', () => {
    for (const role of roles) expect(Object.keys(refusedTo({ role }))).toEqual(actions.filter((action) => !can({ role }, action)))
    expect(refusedTo({ role: 'owner' })).toEqual({})
    expect(refusedTo({ role: 'member' })).toMatchObject({ 'domain.write': 'admin', 'certificate.write': 'admin', 'project.update': 'admin' })
    expect(Object.keys(refusedTo({ role: 'member' }))).not.toContain('cache.purge')
  })

  it('every control of the dashboard that writes what members may not asks first whether this person may', async () => {
    const modules = await readModules()
    /** The module itself, or else every one that shows it, asks for the action, or for one that takes as high a role. */
    const asks = (name: string, action: Action): boolean => {
      const { text = '', importers = [] } = modules.get(name) ?? {}
      const enough = actions.filter((one) => roles.indexOf(requiredRole[one]) >= roles.indexOf(requiredRole[action]))
      return (
        enough.some((one) => text.includes(`'${one}'`) || text.includes(`"${one}"`)) ||
        (importers.length > 0 && importers.every((one) => asks(one, action)))
      )
    }
    const checked: string[] = []
    const open: string[] = []
    for (const [name, { text }] of modules)
      for (const [, called = ''] of text.matchAll(/(?:trpc|client)\.([a-zA-Z.]+)\.(?:mutationOptions|mutate)\(/g)) {
        const action = procedures[called]?._def.meta?.access as Action | 'public' | undefined
        expect(action, `${name} calls ${called}`).toBeDefined()
        if (action === undefined || action === 'public' || requiredRole[action] === 'member') continue
        checked.push(called)
        if (!asks(name, action)) open.push(`${name} offers ${called}, which needs ${action}`)
      }
    expect(open).toEqual([])
    const refused = Object.entries(procedures).filter(([, { _def }]) => {
      const access = _def.meta?.access
      return _def.type === 'mutation' && access !== undefined && access !== 'public' && requiredRole[access as Action] !== 'member'
    })
    // A write that is called in another way than these would not have been looked at.
    expect([...new Set(checked)].sort()).toEqual(
      refused
        .map(([called]) => called)
        .filter((called) => !isByRestAlone(called))
        .sort(),
    )
  })
})
