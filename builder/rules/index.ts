import path from 'node:path'
import type { BuildSettings } from '@/shared/build-plan'
import { openTree } from '../tree-files'
import { findRuleFiles, parseRuleFiles } from './read'
import type { ParsedRules } from './rule-file'

export { warningText } from './rule-file'

/** Rules in the files of a source tree, below the project's root directory. Settings were checked by `detect`. */
export async function readSourceRules(directory: string, settings: BuildSettings): Promise<ParsedRules> {
  const files = await openTree(path.join(directory, settings.rootDirectory ?? ''))
  return parseRuleFiles(await findRuleFiles(files, settings.outputDirectory))
}

/** Rules among the files a build made: plugins write `_redirects` and `_headers` there. */
export async function readOutputRules(directory: string): Promise<ParsedRules> {
  const files = await findRuleFiles(await openTree(directory), null)
  return parseRuleFiles(files.filter(({ kind, name }) => name === kind && kind.startsWith('_')))
}
