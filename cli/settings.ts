import { mkdir, readFile, rm } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'
import { writeFileAtomic } from '@/shared/node/atomic-file'
import { projectRulesKeys } from '@/shared/rules-settings'
import { type ProjectInput, projectInput } from '@/shared/views'
import { UsageError } from './failure'

/** Files of the command: the sign-in of this person, the link of a folder to its project, and the project's settings in `switchyard.json`. */

const signIn = z.object({ api: z.url(), token: z.string().min(1) })
export type SignIn = z.infer<typeof signIn>
const link = z.object({ projectId: z.string().min(1), name: z.string(), slug: z.string(), api: z.url() })
export type ProjectLink = z.infer<typeof link>
// The same file may contain rules for the routers; the platform reads and validates them during a deployment.
const ruleFields = Object.fromEntries(['$schema', ...projectRulesKeys].map((key) => [key, z.unknown().optional()]))
const projectFields = projectInput.omit({ repository: true, branch: true }).partial({ name: true })
const projectFile = projectFields
  .extend(ruleFields)
  .strict()
  .transform((file) => projectFields.parse(file))
export type ProjectFile = Omit<ProjectInput, 'repository' | 'branch'>

const signInPath = (configDirectory: string) => path.join(configDirectory, 'config.json')
const linkPath = (directory: string) => path.join(directory, '.switchyard', 'project.json')
const projectFilePath = (directory: string) => path.join(directory, 'switchyard.json')

export const readSignIn = (configDirectory: string): Promise<SignIn | null> =>
  readJson(signInPath(configDirectory), signIn, 'Sign in again: switchyard login')

/** Readable only by its owner: the token is a password. */
export async function writeSignIn(configDirectory: string, value: SignIn): Promise<string> {
  await mkdir(configDirectory, { recursive: true, mode: 0o700 })
  const file = signInPath(configDirectory)
  await writeFileAtomic(file, `${JSON.stringify(value, null, 2)}\n`, 0o600)
  return file
}

/** @returns false if no key was stored. */
export async function removeSignIn(configDirectory: string): Promise<boolean> {
  const there = (await readFile(signInPath(configDirectory)).catch(() => null)) !== null
  await rm(signInPath(configDirectory), { force: true })
  return there
}

export const readLink = (directory: string): Promise<ProjectLink | null> =>
  readJson(linkPath(directory), link, 'Link the folder again: switchyard link --project NAME')

/** Stores the folder's project in a file that Git ignores: the link is personal, not part of the repository. */
export async function writeLink(directory: string, value: ProjectLink): Promise<void> {
  await mkdir(path.dirname(linkPath(directory)), { recursive: true })
  await writeFileAtomic(linkPath(directory), `${JSON.stringify(value, null, 2)}\n`, 0o644)
  const file = path.join(directory, '.gitignore')
  const text = await readFile(file, 'utf8').catch(() => '')
  if (text.split(/\r?\n/).some((line) => /^\/?\.switchyard\/?$/.test(line.trim()))) return
  await writeFileAtomic(file, `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}.switchyard\n`, 0o644)
}

export const readProjectFile = (directory: string): Promise<Partial<ProjectFile> | null> =>
  readJson(projectFilePath(directory), projectFile, 'Correct switchyard.json, or write a new one: switchyard init')

export async function writeProjectFile(directory: string, value: ProjectFile): Promise<string> {
  const file = projectFilePath(directory)
  await writeFileAtomic(file, `${JSON.stringify(value, null, 2)}\n`, 0o644)
  return file
}

async function readJson<S extends z.ZodType>(file: string, schema: S, nextAction: string): Promise<z.output<S> | null> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null
    throw new UsageError(`${file} cannot be read: ${error.message}`, nextAction)
  })
  if (text === null) return null
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new UsageError(`${file} is not JSON.`, nextAction)
  }
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'file'}: ${issue.message}`)
  throw new UsageError(`${file} is not usable: ${problems.join('; ')}`, nextAction)
}
