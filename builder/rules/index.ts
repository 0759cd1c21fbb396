import path from 'node:path'
import type { BuildSettings } from '@/shared/build-plan'
import { openTree } from '../tree-files'
import { findRuleFiles, parseRuleFiles } from './read'
import type { ParsedRules } from './rule-file'

export { warningText } from './rule-file'

/** Rules in the files of a source tree, below the project's root directory. `detect` has validated the settings. */
export async function readSourceRules(directory: string, settings: BuildSettings): Promise<ParsedRules> {
  const files = await openTree(path.join(directory, settings.rootDirectory ?? ''))
  return parseRuleFiles(await findRuleFiles(files, settings.outputDirectory))
}

/** Rules in files that a build wrote: plugins write `_redirects` and `_headers`. */
export async function readOutputRules(directory: string): Promise<ParsedRules> {
  const files = await findRuleFiles(await openTree(directory), null)
  return parseRuleFiles(files.filter(({ kind, name }) => name === kind && kind.startsWith('_')))
}
