import { statfs } from 'node:fs/promises'

const checkEveryMs = 1_000
const leastFreeBytes = 1024 ** 3
const leastFreeShare = 0.03

/** Aborts when a build is about to fill the disk that everything else of the platform lies on too. */
export function watchDisk(directory: string): { signal: AbortSignal; stop(): void } {
  const controller = new AbortController()
  const check = async () => {
    const { bavail, blocks, bsize } = await statfs(directory)
    if (isLow(bavail * bsize, blocks * bsize)) controller.abort()
  }
  const timer = setInterval(() => void check().catch(() => {}), checkEveryMs)
  timer.unref()
  return { signal: controller.signal, stop: () => clearInterval(timer) }
}

/** Small disks keep a share, large ones a fixed amount. */
function isLow(freeBytes: number, totalBytes: number): boolean {
  return freeBytes < Math.min(leastFreeBytes, totalBytes * leastFreeShare)
}
