// @openid4vc/openid4vp as wallet and as verifier, with @sd-jwt/sd-jwt-vc for what is
// presented.
import { X509Certificate } from 'node:crypto'
import { setGlobalConfig } from '@openid4vc/oauth2'
import {
  createOpenid4vpAuthorizationRequest, createOpenid4vpAuthorizationResponse, parseOpenid4vpAuthorizationRequest,
  parseOpenid4vpAuthorizationResponse, resolveOpenid4vpAuthorizationRequest, submitOpenid4vpAuthorizationResponse, Openid4vpVerifier,
} from '@openid4vc/openid4vp'
import { encode, hash, publicKey, signer, verify } from './keys.mjs'
import { decrypt, decryptionKey, encrypt } from './jwe.mjs'
import sdjwt from './sdjwt.mjs'

const decryptionKeys = new Map() // decryption keys by kid
let fetched = []

const certificate = (der) => new X509Certificate(Buffer.from(der, 'base64'))

/** What the library asks of its host. The keys of DIDs are given by their URLs. */
const callbacks = ({ dids = {}, answer } = {}) => ({
  hash,
  fetch: async (url, init) => {
    fetched.push({ url: String(url), method: init?.method ?? 'GET', body: String(init?.body ?? '') })
    return answer === undefined ? fetch(url, init) : new Response(answer, { status: 200 })
  },
  verifyJwt: async (by, { compact }) => {
    const jwk = by.method === 'x5c' ? certificate(by.x5c[0]).publicKey.export({ format: 'jwk' }) : dids[by.didUrl]
    const at = compact.lastIndexOf('.')
    const good = jwk && (await verify(jwk, compact.slice(0, at), compact.slice(at + 1)))
    return good ? { verified: true, signerJwk: jwk } : { verified: false }
  },
  signJwt: async (by, { header, payload }) => {
    const text = `${encode(JSON.stringify(header))}.${encode(JSON.stringify(payload))}`
    return { jwt: `${text}.${await (await signer('verifier'))(text)}`, signerJwk: await publicKey('verifier') }
  },
  getX509CertificateMetadata: (der) => {
    const names = (certificate(der).subjectAltName ?? '').split(', ')
    const of = (kind) => names.filter((n) => n.startsWith(kind)).map((n) => n.slice(kind.length))
    return { sanDnsNames: of('DNS:'), sanUriNames: of('URI:') }
  },
  encryptJwe: async ({ publicJwk, enc, apu, apv }, text) => ({ jwe: encrypt(publicJwk, text, { enc, apu, apv }), encryptionJwk: publicJwk }),
  decryptJwe: async (jwe, { jwk } = {}) => {
    const key = decryptionKeys.get(jwk?.kid)
    try {
      return { decrypted: true, decryptionJwk: key, payload: decrypt(key, jwe) }
    } catch {
      return { decrypted: false }
    }
  },
})

export default {
  ...sdjwt,

  /** As wallet: reads a link and the request object behind it, whose text is object or comes over the network. */
  resolve: async ({ link, object, dids, metadata, loopback }) => {
    setGlobalConfig({ allowInsecureUrls: Boolean(loopback) })
    fetched = []
    const { params } = parseOpenid4vpAuthorizationRequest({ authorizationRequest: link })
    const r = await resolveOpenid4vpAuthorizationRequest({
      authorizationRequestPayload: params, callbacks: callbacks({ dids, answer: object }), wallet: metadata && { metadata },
    })
    return {
      client: { prefix: r.client.prefix, effective: r.client.effective }, payload: r.authorizationRequestPayload,
      query: r.dcql?.query, transactions: r.transactionData?.map((d) => d.transactionData), version: r.version, fetched,
    }
  },

  /** As wallet: the form that answers a request, encrypted if it says so. Send posts it. */
  respond: async ({ payload, token, enc, send }) => {
    const encrypted = payload.response_mode === 'direct_post.jwt'
    const r = await createOpenid4vpAuthorizationResponse({
      authorizationRequestPayload: payload, authorizationResponsePayload: { vp_token: token }, callbacks: callbacks(),
      jarm: encrypted ? {
        encryption: { nonce: 'mdoc-nonce' },
        serverMetadata: {
          authorization_signing_alg_values_supported: [], authorization_encryption_alg_values_supported: ['ECDH-ES'],
          authorization_encryption_enc_values_supported: [enc],
        },
      } : undefined,
    })
    if (send) {
      const { response } = await submitOpenid4vpAuthorizationResponse({
        authorizationRequestPayload: payload, authorizationResponsePayload: r.authorizationResponsePayload, jarm: r.jarm, callbacks: callbacks(),
      })
      return { status: response.status, type: response.headers.get('content-type'), body: await response.text() }
    }
    if (r.jarm) return { response: r.jarm.responseJwt }
    return Object.fromEntries(Object.entries(r.authorizationResponsePayload).filter(([, v]) => v !== undefined)
      .map(([name, v]) => [name, typeof v === 'string' ? v : JSON.stringify(v)]))
  },

  /** As verifier: a request by the key "verifier", with a fresh key to encrypt for. */
  request: async ({ payload, requestUri, x5c, did, aud }) => {
    const key = decryptionKey(`request ${decryptionKeys.size + 1}`)
    decryptionKeys.set(key.kid, key)
    const { d, ...jwk } = key
    const own = { ...payload, client_metadata: { ...payload.client_metadata, jwks: { keys: [jwk] } } }
    const r = await createOpenid4vpAuthorizationRequest({
      authorizationRequestPayload: own, callbacks: callbacks(),
      jar: {
        requestUri, expiresInSeconds: 300, additionalJwtPayload: { ...(aud && { aud }) },
        jwtSigner: x5c ? { method: 'x5c', alg: 'ES256', x5c } : { method: 'did', alg: 'ES256', didUrl: did },
      },
    })
    return { link: r.authorizationRequest, object: r.jar.authorizationRequestJwt, payload: r.authorizationRequestPayload }
  },

  /** As verifier: the presentations in what a wallet posted, and which of them authorises which transaction data. */
  received: async ({ payload, form, hashes }) => {
    const r = await parseOpenid4vpAuthorizationResponse({ authorizationResponse: form, authorizationRequestPayload: payload, callbacks: callbacks() })
    const transactions = hashes && await new Openid4vpVerifier({ callbacks: callbacks() }).verifyTransactionData({
      transactionData: payload.transaction_data, credentials: hashes,
    })
    return { presentations: r.dcql.presentations, nonce: r.expectedNonce, transactions: transactions?.map((t) => t.credentialId) }
  },
}
