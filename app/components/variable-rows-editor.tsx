'use client'
import { Plus, X } from 'lucide-react'
import { looksLikeDotenv, parseDotenv } from '@/app/lib/dotenv'
import { Button } from './ui/button'
import { TextField } from './ui/field'

export interface VariableDraft {
  /** Identity of the row on the page. */
  id: number
  key: string
  value: string
}

let lastId = 0
export const newRow = (key = '', value = ''): VariableDraft => ({ id: ++lastId, key, value })

const keyPattern = '[A-Za-z_][A-Za-z0-9_]*'

/** Rows of name and value. Pasting a `.env` text into a name creates a row for each assignment. */
export function VariableRowsEditor({ rows, onRows }: { rows: VariableDraft[]; onRows: (rows: VariableDraft[]) => void }) {
  const patch = (id: number, change: Partial<VariableDraft>) => onRows(rows.map((row) => (row.id === id ? { ...row, ...change } : row)))

  function takePaste(id: number, text: string): boolean {
    if (!looksLikeDotenv(text)) return false
    const pasted = parseDotenv(text)
    const kept = rows.filter((row) => row.id !== id && row.key.trim() !== '' && !pasted.some((entry) => entry.key === row.key.trim()))
    onRows([...kept, ...pasted.map((entry) => newRow(entry.key, entry.value))])
    return true
  }

  return (
    <div className="flex flex-col gap-3">
      {rows.map((row, index) => (
        <div key={row.id} className="grid grid-cols-[1fr_auto] items-end gap-2 sm:grid-cols-[minmax(0,2fr)_minmax(0,3fr)_auto]">
          <TextField
            label="Name"
            labelHidden={index > 0}
            mono
            value={row.key}
            placeholder="DATABASE_URL"
            autoComplete="off"
            autoCapitalize="none"
            pattern={keyPattern}
            title="Letters, digits and underscores, not starting with a digit"
            onChange={(event) => patch(row.id, { key: event.target.value })}
            onPaste={(event) => {
              if (takePaste(row.id, event.clipboardData.getData('text'))) event.preventDefault()
            }}
          />
          <TextField
            label="Value"
            labelHidden={index > 0}
            mono
            value={row.value}
            autoComplete="off"
            className="order-last col-span-2 sm:order-none sm:col-span-1"
            onChange={(event) => patch(row.id, { value: event.target.value })}
          />
          <Button
            variant="ghost"
            size="icon"
            aria-label={`Remove row ${index + 1}`}
            className="mb-0.5"
            disabled={rows.length === 1 && row.key === '' && row.value === ''}
            onClick={() => onRows(rows.length === 1 ? [newRow()] : rows.filter((each) => each.id !== row.id))}
          >
            <X />
          </Button>
        </div>
      ))}
      <div>
        <Button variant="ghost" size="sm" onClick={() => onRows([...rows, newRow()])} className="-ml-2.5">
          <Plus /> Another row
        </Button>
      </div>
    </div>
  )
}
