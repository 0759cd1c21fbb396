'use client'
import { Check, Copy } from 'lucide-react'
import { useEffect, useState } from 'react'
import { toast } from 'sonner'
import { cn } from '@/app/lib/cn'
import { Button } from './button'

/** `navigator.clipboard` exists only on https and localhost; a dashboard on plain HTTP needs `execCommand`. */
async function writeClipboard(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text)
  const area = document.createElement('textarea')
  area.value = text
  area.style.position = 'fixed'
  area.style.opacity = '0'
  document.body.append(area)
  area.select()
  const copied = document.execCommand('copy')
  area.remove()
  if (!copied) throw new Error('the browser refused')
}

/** Copies `text` (or the result of the function) and shows a confirmation. */
export function CopyButton({
  text,
  label = 'Copy',
  showLabel = false,
  className,
}: {
  text: string | (() => string)
  label?: string
  showLabel?: boolean
  className?: string
}) {
  const [copied, setCopied] = useState(false)
  useEffect(() => {
    if (!copied) return
    const timer = setTimeout(() => setCopied(false), 1600)
    return () => clearTimeout(timer)
  }, [copied])
  const copy = () =>
    writeClipboard(typeof text === 'string' ? text : text()).then(
      () => setCopied(true),
      () => toast.error('The browser did not allow copying.', { description: 'Select the text and copy it by hand.' }),
    )
  const Icon = copied ? Check : Copy
  return (
    <Button
      variant="ghost"
      size={showLabel ? 'sm' : 'iconSm'}
      onClick={copy}
      aria-label={copied ? 'Copied' : label}
      title={label}
      className={cn(copied && 'text-good', className)}
    >
      <Icon />
      {showLabel ? label : null}
    </Button>
  )
}

/** A command to run in a terminal, with a button that copies it. */
export function CommandLine({ command, className }: { command: string; className?: string }) {
  return (
    <div className={cn('flex items-center gap-2 rounded-md border bg-console py-1 pr-1 pl-3 text-left', className)}>
      <code className="min-w-0 flex-1 overflow-x-auto whitespace-nowrap font-mono text-sm">
        <span className="select-none text-faint">$ </span>
        {command}
      </code>
      <CopyButton text={command} label="Copy command" />
    </div>
  )
}
