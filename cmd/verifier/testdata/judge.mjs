// The verifier of the scanner page under node: node judge.mjs DIST. Each line of input
// is {"operation", "now", "args"} with the clock in milliseconds and arguments that are
// text, or {"bytes": base64}; each line of output is the list of answers. An argument
// {"each": [base64, ...]} makes a call for each of its values.
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { runInThisContext } from 'node:vm'

const dist = process.argv[2]
let now = 0
Date.now = () => now
runInThisContext(readFileSync(`${dist}/wasm_exec.js`, 'utf8'))
const go = new Go()
const { instance } = await WebAssembly.instantiate(readFileSync(`${dist}/sanad.wasm`), go.importObject)
go.run(instance)

const bytes = (base64) => new Uint8Array(Buffer.from(base64, 'base64'))

for await (const line of createInterface({ input: process.stdin })) {
  const { operation, now: at, args } = JSON.parse(line)
  now = at
  const each = args.find((a) => a.each)?.each ?? [null]
  const answers = each.map((value) => sanad(operation, ...args.map((a) => (a.each ? bytes(value) : a.bytes === undefined ? a : bytes(a.bytes)))))
  process.stdout.write(JSON.stringify(answers) + '\n')
}
process.exit(0)
