// @sd-jwt/sd-jwt-vc at work, for measure P8 of bench/: keys are made and imported once,
// as a server would do, and signatures are those of node's own OpenSSL, called directly.
import { createHash, createPublicKey, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto'
import { SDJwtVcInstance } from '@sd-jwt/sd-jwt-vc'

const pair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' })
const issuer = pair()
const holder = pair()
const raw = (key) => ({ key, dsaEncoding: 'ieee-p1363' })
const signs = (key) => (text) => sign('sha256', text, raw(key)).toString('base64url')
const checks = (key) => (text, sig) => verify('sha256', text, raw(key), Buffer.from(sig, 'base64url'))
const base = {
  hasher: (data) => createHash('sha256').update(typeof data === 'string' ? data : Buffer.from(data)).digest(),
  hashAlg: 'sha-256',
  saltGenerator: (n) => randomBytes(n).toString('base64url'),
  signAlg: 'ES256',
  kbSignAlg: 'ES256',
}
const issues = new SDJwtVcInstance({ ...base, signer: signs(issuer.privateKey), kbSigner: signs(holder.privateKey) })
const verifies = new SDJwtVcInstance({
  ...base,
  verifier: checks(issuer.publicKey),
  // The holder's key comes with the credential, so that it is read each time.
  kbVerifier: (text, sig, payload) => checks(createPublicKey({ key: payload.cnf.jwk, format: 'jwk' }))(text, sig),
})

let work, presented

async function timed(times, f) {
  const began = process.hrtime.bigint()
  for (let i = 0; i < times; i++) await f()
  return Number(process.hrtime.bigint() - began) / times
}

export default {
  /** Takes what is issued and makes what is verified: without a status list, which would be fetched. */
  begin: async ({ payload, frame, kb }) => {
    const { kty, crv, x, y } = holder.publicKey.export({ format: 'jwk' })
    work = { payload: { ...payload, cnf: { jwk: { kty, crv, x, y } } }, frame }
    const { status, ...without } = work.payload
    const token = await issues.issue(without, frame, { header: { kid: 'issuer' } })
    presented = await issues.present(token, Object.fromEntries(frame._sd.map((name) => [name, true])), { kb: { payload: kb } })
    const { payload: seen, kb: proof } = await verifies.verify(presented, { keyBindingNonce: kb.nonce })
    if (frame._sd.some((name) => seen[name] === undefined) || proof?.payload.nonce !== kb.nonce) throw new Error('not what was issued')
    work.nonce = kb.nonce
    return 0
  },
  /** Nanoseconds of one, in the mean of so many. */
  issue: ({ times }) => timed(times, () => issues.issue(work.payload, work.frame, { header: { kid: 'issuer' } })),
  verify: ({ times }) => timed(times, () => verifies.verify(presented, { keyBindingNonce: work.nonce })),
}
