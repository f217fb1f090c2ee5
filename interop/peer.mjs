// Runs one peer: node peer.mjs ./sdjwt.mjs. Each line of input is a call,
// {"call": name, "args": {...}}; each line of output is {"result": ...} or
// {"error": text}. The module's default export holds the functions.
import { createInterface } from 'node:readline'

const { default: calls } = await import(new URL(process.argv[2], import.meta.url))

for await (const line of createInterface({ input: process.stdin })) {
  const { call, args } = JSON.parse(line)
  let answer
  try {
    answer = { result: (await calls[call](args)) ?? null }
  } catch (e) {
    answer = { error: `${e?.name}: ${e?.message}`, detail: e?.response ?? e?.errorResponse ?? undefined }
  }
  process.stdout.write(JSON.stringify(answer) + '\n')
}
