import type { TreeFiles } from '@/builder/tree-files'
import { detectError } from './problem'

/** Fields of a package.json that detection uses, validated; invalid fields count as absent. */
export interface PackageJson {
  name: string | null
  version: string | null
  main: string | null
  isModule: boolean
  scripts: Record<string, string>
  /** dependencies, devDependencies and optionalDependencies together. */
  dependencies: Record<string, string>
  engines: Record<string, string>
  packageManager: string | null
  voltaNode: string | null
  hasWorkspaces: boolean
}

const maxPackageJsonBytes = 1024 * 1024

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)
const asText = (value: unknown) => (typeof value === 'string' && value !== '' ? value : null)

function asTexts(value: unknown): Record<string, string> {
  // Without a prototype, so that a script called "constructor" is not found by accident.
  const texts: Record<string, string> = Object.create(null)
  if (isObject(value)) for (const [key, entry] of Object.entries(value)) if (typeof entry === 'string') texts[key] = entry
  return texts
}

/** Reads a package.json. @throws AppError ERR_DETECT when the file is too large or not a JSON object. */
export async function readPackageJson(files: TreeFiles, directory = ''): Promise<PackageJson | null> {
  const file = directory === '' ? 'package.json' : `${directory}/package.json`
  const text = await files.read(file, maxPackageJsonBytes)
  if (text === null) {
    if (await files.isFile(file)) throw detectError(`${file} is larger than 1 MB`, 'Make it smaller: it should hold settings only.')
    return null
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    const where = cause instanceof Error ? `: ${cause.message.slice(0, 200)}` : ''
    throw detectError(`${file} is not valid JSON${where}`, `Correct ${file}, then deploy again.`, cause)
  }
  if (!isObject(value)) throw detectError(`${file} holds no JSON object`, `Correct ${file}, then deploy again.`)
  return {
    name: asText(value.name),
    version: asText(value.version),
    main: asText(value.main),
    isModule: value.type === 'module',
    scripts: asTexts(value.scripts),
    dependencies: { ...asTexts(value.optionalDependencies), ...asTexts(value.devDependencies), ...asTexts(value.dependencies) },
    engines: asTexts(value.engines),
    packageManager: asText(value.packageManager),
    voltaNode: isObject(value.volta) ? asText(value.volta.node) : null,
    hasWorkspaces: Array.isArray(value.workspaces) || isObject(value.workspaces),
  }
}
