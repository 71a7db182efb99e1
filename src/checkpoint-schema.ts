/** The shape of a checkpoint that comes from outside. Apart from `checkpoint.ts`, so that only a resumed run loads zod. */
import { z } from 'zod'

const lane = z.object({
  cursor: z.json().optional(),
  at: z.number().int().nonnegative(),
  counts: z.array(z.number().int().nonnegative()),
  expected: z.number().int().nonnegative().optional(),
  acked: z.number().int().nonnegative(),
  written: z.number().int().nonnegative(),
  rejected: z.number().int().nonnegative(),
  done: z.boolean(),
})

export const checkpointSchema = z.object({
  version: z.literal(1),
  runId: z.string().regex(/^[A-Za-z0-9_~-]+$/),
  source: z.string(),
  stages: z.array(z.string()),
  sink: z.string(),
  partitions: z.array(z.object({ id: z.string(), data: z.json().optional() })),
  lanes: z.record(z.string(), lane),
  sinkState: z.json().optional(),
  finished: z.boolean(),
})
