// Which integration tests may run at the same time. Most of their time is waiting, so two lanes of one file at a time keep both cores busy.

/** Load the machine on purpose and allow no failed request: nothing runs meanwhile. */
const alone = /^test\/platform\/(crash|reload|static)\.int\.test\.ts$/
/** Use the container engine: its firewall rules, build cache and images are shared. */
const onTheEngine =
  /^(builder\/(builder|execute\/dockerfile)|runtime\/(docker\/docker|index)|cli\/examples|test\/(platform\/ship|build-confinement))\.int\.test\.ts$/

/** Rounds one after another, each with the lanes that run at the same time. `files` are paths from the root. */
export function roundsOf(files) {
  const isAlone = (file) => alone.test(file)
  const rest = files.filter((file) => !isAlone(file))
  const rounds = {
    integration: [rest.filter((file) => onTheEngine.test(file)), rest.filter((file) => !onTheEngine.test(file))],
    'integration, one at a time': [files.filter(isAlone)],
  }
  return Object.fromEntries(Object.entries(rounds).map(([name, lanes]) => [name, lanes.filter((lane) => lane.length > 0)]))
}
