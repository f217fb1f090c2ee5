// @sd-jwt/sd-jwt-vc as issuer, holder and verifier.
import { randomBytes } from 'node:crypto'
import { SDJwtVcInstance } from '@sd-jwt/sd-jwt-vc'
import { encode, hash, publicKey, signer, verify } from './keys.mjs'

const base = { hasher: hash, hashAlg: 'sha-256', saltGenerator: (n) => encode(randomBytes(n)), signAlg: 'ES256', kbSignAlg: 'ES256' }

export default {
  key: ({ name }) => publicKey(name),

  /** Issues with the key "issuer". */
  issue: async ({ payload, frame, header }) =>
    new SDJwtVcInstance({ ...base, signer: await signer('issuer') }).issue(payload, frame, { header }),

  /** Presents what the frame chooses, with a proof by the holder's key if kb is given. */
  present: async ({ token, frame, kb, holder = 'holder' }) =>
    new SDJwtVcInstance({ ...base, kbSigner: await signer(holder) }).present(token, frame, kb && { kb: { payload: kb } }),

  /**
   * Verifies, with the proof of the holder if nonce is given. The status list is fetched
   * from where the credential says; its signature is checked by the same key of the issuer
   * unless statusKey is given.
   */
  verify: async ({ token, issuer, nonce, now, statusKey = issuer }) => {
    const instance = new SDJwtVcInstance({
      ...base,
      verifier: (text, sig) => verify(issuer, text, sig),
      kbVerifier: (text, sig, payload) => verify(payload.cnf.jwk, text, sig),
      statusVerifier: (text, sig) => verify(statusKey, text, sig),
    })
    const { payload, header, kb } = await instance.verify(token, { currentDate: now, keyBindingNonce: nonce, requiredClaimKeys: ['vct', 'iss'] })
    return { payload, header, kb: kb?.payload }
  },

  /** The names of what a holder can leave out. */
  presentable: ({ token }) => new SDJwtVcInstance(base).presentableKeys(token),
}
