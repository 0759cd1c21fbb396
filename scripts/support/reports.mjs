// Real counts out of the JSON reports of vitest and Playwright.
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { root } from './run.mjs'

/** @typedef {{passed: number, failed: number, skipped: number, failures: string[], files?: {name: string, seconds: number}[]}} Counts */

/** @returns {Counts} of a check that runs as a whole. */
export const checkCounts = (ok, name) => ({ passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0, failures: ok ? [] : [name] })

/** @returns {Counts} of runs that make up one step. */
export const addCounts = (all) => ({
  passed: all.reduce((sum, { passed }) => sum + passed, 0),
  failed: all.reduce((sum, { failed }) => sum + failed, 0),
  skipped: all.reduce((sum, { skipped }) => sum + skipped, 0),
  failures: all.flatMap(({ failures }) => failures),
  files: all.flatMap(({ files = [] }) => files),
})

function readReport(file) {
  try {
    return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined
  } catch {
    return undefined
  }
}

/** A run that says "all good" with nothing executed, or that fails without naming a test, is a failure of its own. */
function honest(counts, ok, late) {
  if (late) counts.failures.push('did not end in time and was stopped')
  else if (counts.passed + counts.failed === 0) counts.failures.push('no test was executed')
  else if (!ok && counts.failed === 0) counts.failures.push('ended with an error outside of its tests (see its output)')
  else return counts
  counts.failed += 1
  return counts
}

/** @returns {{name: string, step: string, seconds: number}[]} The files of all steps that took longest, slowest first. */
export const slowestFiles = (results, count) =>
  results
    .flatMap(({ name: step, files = [] }) => files.map((file) => ({ ...file, step })))
    .sort((a, b) => b.seconds - a.seconds)
    .slice(0, count)

/** @returns {Counts} */
export function vitestCounts(file, { ok, late }) {
  const report = readReport(file)
  const counts = { passed: 0, failed: 0, skipped: 0, failures: [], files: [] }
  for (const result of report?.testResults ?? []) {
    const name = path.relative(root, result.name)
    counts.files.push({ name, seconds: ((result.endTime ?? 0) - (result.startTime ?? 0)) / 1000 })
    for (const { status, fullName } of result.assertionResults) {
      if (status === 'passed') counts.passed += 1
      else if (status === 'failed') counts.failures.push(`${name} › ${fullName}`)
      else counts.skipped += 1
    }
    // The file itself is broken: it does not load, or a hook of it failed.
    if (result.status === 'failed' && !result.assertionResults.some(({ status }) => status === 'failed'))
      counts.failures.push(`${name}: ${firstLine(result.message)}`)
  }
  counts.failed = counts.failures.length
  return honest(counts, ok, late)
}

/** @returns {Counts} A flaky test (green only on a second try) is a failure: it hides a race. */
export function playwrightCounts(file, { ok, late }) {
  const report = readReport(file)
  const counts = { passed: 0, failed: 0, skipped: 0, failures: [] }
  const seconds = new Map()
  const walk = (suite) => {
    for (const spec of suite.specs ?? [])
      for (const { status, results = [] } of spec.tests) {
        const took = results.reduce((sum, { duration }) => sum + duration / 1000, 0)
        seconds.set(spec.file, (seconds.get(spec.file) ?? 0) + took)
        if (status === 'expected') counts.passed += 1
        else if (status === 'skipped') counts.skipped += 1
        else counts.failures.push(`${spec.file} › ${spec.title}${status === 'flaky' ? ' (flaky)' : ''}`)
      }
    for (const inner of suite.suites ?? []) walk(inner)
  }
  for (const suite of report?.suites ?? []) walk(suite)
  for (const error of report?.errors ?? []) counts.failures.push(firstLine(error.message))
  counts.files = [...seconds].map(([name, took]) => ({ name: path.join('e2e', name), seconds: took }))
  counts.failed = counts.failures.length
  return honest(counts, ok, late)
}

const firstLine = (text) =>
  stripVTControlCharacters(text ?? '')
    .split('\n')[0]
    .slice(0, 200)
