import type { ClientBase, Pool } from 'pg'

interface Column {
  table: string
  name: string
  type: string
}

/** Columns of all tables of the database. */
async function columns(db: Pool | ClientBase): Promise<Column[]> {
  const { rows } = await db.query<Column>(
    `SELECT c.table_name AS "table", c.column_name AS "name", c.data_type AS "type" FROM information_schema.columns c
     JOIN information_schema.tables t USING (table_schema, table_name)
     WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' ORDER BY 1, 2`,
  )
  return rows
}

/** Every row of every table as text, as a dump holds it (`bytea` in hexadecimal). */
export async function readDump(db: Pool | ClientBase): Promise<string> {
  const parts: string[] = []
  for (const table of new Set((await columns(db)).map((column) => column.table))) {
    const { rows } = await db.query<{ row: string }>(`SELECT t::text AS "row" FROM "${table}" t`)
    parts.push(`-- ${table}`, ...rows.map(({ row }) => row))
  }
  return parts.join('\n')
}

/** The dump's lines in which a secret can be read: as it is, or in a form everybody can undo. */
export function linesWith(dump: string, secret: string): string[] {
  const bytes = Buffer.from(secret)
  const forms = [
    secret,
    encodeURIComponent(secret),
    JSON.stringify(secret).slice(1, -1),
    bytes.toString('hex'),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
  ]
  return dump.split('\n').filter((line) => forms.some((form) => line.includes(form)))
}

/** Columns that hold bytes: sealed values. */
export async function sealedColumns(db: Pool | ClientBase): Promise<string[]> {
  return (await columns(db)).filter(({ type }) => type === 'bytea').map(({ table, name }) => `${table}.${name}`)
}

/** Of them those that have a value in some row. */
export async function filledColumns(db: Pool | ClientBase): Promise<string[]> {
  const found: string[] = []
  for (const column of await sealedColumns(db)) {
    const [table, name] = column.split('.')
    const { rows } = await db.query(`SELECT 1 FROM "${table}" WHERE "${name}" IS NOT NULL LIMIT 1`)
    if (rows.length > 0) found.push(column)
  }
  return found
}
