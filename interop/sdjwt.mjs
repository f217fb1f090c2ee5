// @sd-jwt/sd-jwt-vc as issuer, holder and verifier, @sd-jwt/jwt-status-list as the issuer's list.
import { randomBytes } from 'node:crypto'
import { createHeaderAndPayload, StatusList } from '@sd-jwt/jwt-status-list'
import { SDJwtVcInstance } from '@sd-jwt/sd-jwt-vc'
import { encode, hash, publicKey, signer, verify } from './keys.mjs'

const base = { hasher: hash, hashAlg: 'sha-256', saltGenerator: (n) => encode(randomBytes(n)), signAlg: 'ES256', kbSignAlg: 'ES256' }

export default {
  key: ({ name }) => publicKey(name),

  /** Issues with the key "issuer". */
  issue: async ({ payload, frame, header }) =>
    new SDJwtVcInstance({ ...base, signer: await signer('issuer') }).issue(payload, frame, { header }),

  /** A Status List Token of these values, signed with the key of this name. */
  list: async ({ key = 'issuer', values, bits, payload, header }) => {
    const token = createHeaderAndPayload(new StatusList(values, bits), payload, { alg: 'ES256' })
    const text = [{ ...token.header, ...header }, token.payload].map((part) => encode(JSON.stringify(part))).join('.')
    return `${text}.${await (await signer(key))(text)}`
  },

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
