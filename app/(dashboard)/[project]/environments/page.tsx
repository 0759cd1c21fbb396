import type { Metadata } from 'next'
import { Environments } from './environments'

export const metadata: Metadata = { title: 'Environments' }

export default function EnvironmentsPage() {
  return <Environments />
}
