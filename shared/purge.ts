import { z } from 'zod'

/** Which cached responses of a project to remove from the routers. Empty: all. */
export const purgeInput = z.object({
  tags: z
    .array(
      z
        .string()
        .min(1)
        .max(256)
        .regex(/^[^\s,]+$/, 'A tag has no blanks and no commas.'),
    )
    .max(100)
    .default([])
    .meta({ description: 'As the app sent them in Cache-Tag or Surrogate-Key.' }),
  paths: z
    .array(z.string().max(2048).startsWith('/', 'A path begins with "/".'))
    .max(100)
    .default([])
    .meta({ description: 'Without query; one that ends with * means everything that begins so.' }),
})
export type PurgeInput = z.output<typeof purgeInput>

export const purgeView = z.object({
  entries: z.number().meta({ description: 'Stored answers that were removed, over all routers.' }),
  routers: z.number().meta({ description: 'Routers that answered.' }),
})
export type PurgeView = z.infer<typeof purgeView>
