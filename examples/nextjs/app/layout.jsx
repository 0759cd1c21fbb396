import './globals.css'

export const metadata = {
  title: 'Next.js on Switchyard',
  description: 'A server-rendered example app, built and routed by Switchyard.',
  icons: { icon: '/mark.svg' },
}

export default function RootLayout({ children }) {
  return (
    <html lang="en">
      <body>{children}</body>
    </html>
  )
}
