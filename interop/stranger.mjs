// A stranger's issuer with its authorization server, and a stranger's verifier, as servers
// with TLS on this machine: @openid4vc/openid4vci, /oauth2 and /openid4vp 0.4.6 read,
// check and write the messages, @sd-jwt/sd-jwt-vc signs and verifies, dcql judges what
// came. What those leave to their host is here: routes, state, what is used once.
//
// Spoil changes how the servers behave from then on: see the places where spoiled is read.
import { createHash, randomBytes, X509Certificate } from 'node:crypto'
import { setDefaultResultOrder } from 'node:dns'
import { createServer } from 'node:https'
import { setDefaultAutoSelectFamily } from 'node:net'
import { Openid4vciIssuer } from '@openid4vc/openid4vci'
import { decodeJwt, Oauth2AuthorizationServer, Oauth2ResourceServer, setGlobalConfig } from '@openid4vc/oauth2'
import { createOpenid4vpAuthorizationRequest, parseOpenid4vpAuthorizationResponse } from '@openid4vc/openid4vp'
import { createHeaderAndPayload, StatusList } from '@sd-jwt/jwt-status-list'
import { SDJwtVcInstance } from '@sd-jwt/sd-jwt-vc'
import { DcqlPresentationResult, DcqlQuery } from 'dcql'
import { encode, hash, publicKey, signer, verify } from './keys.mjs'
import { decrypt, decryptionKey } from './jwe.mjs'

// Localhost has two addresses, and trying the wrong one first takes longer than Node waits.
setDefaultResultOrder('ipv4first')
setDefaultAutoSelectFamily(false)

setGlobalConfig({ allowInsecureUrls: true }) // the wallet comes back to a port of this machine without TLS

const PRE_AUTHORIZED = 'urn:ietf:params:oauth:grant-type:pre-authorized_code'
const random = () => encode(randomBytes(32))
const seconds = () => Math.floor(Date.now() / 1000)
const now = () => new Date()

let base // https://localhost:PORT
let chains // x5c by key: issuer, metadata, status, verifier
let type // vct
let spoiled = {}
const claimsOf = { given_name: 'Arthur', family_name: 'Dent', village: 'Milliways', number: 'L-42' }
const log = [] // what the servers saw and refused, for the tests

async function sign(name, header, payload) {
  const text = `${encode(JSON.stringify(header))}.${encode(JSON.stringify(payload))}`
  return `${text}.${await (await signer(name))(text)}`
}

const callbacks = {
  hash,
  generateRandom: (n) => randomBytes(n),
  // The resource server asks its own authorization server for keys: that is us.
  fetch: async () => Response.json({ keys: [{ ...(await publicKey('tokens')), use: 'sig', alg: 'ES256' }] }),
  signJwt: async (by, { header, payload }) => ({ jwt: await sign(by.name ?? 'verifier', header, payload), signerJwk: await publicKey(by.name ?? 'verifier') }),
  verifyJwt: async (by, { compact }) => {
    const jwk = by.method === 'x5c' ? new X509Certificate(Buffer.from(by.x5c[0], 'base64')).publicKey.export({ format: 'jwk' }) : by.publicJwk
    const at = compact.lastIndexOf('.')
    return (await verify(jwk, compact.slice(0, at), compact.slice(at + 1))) ? { verified: true, signerJwk: jwk } : { verified: false }
  },
  decryptJwe: async (jwe, { jwk } = {}) => {
    const key = transactions.get(jwk?.kid)?.key
    try {
      return { decrypted: true, decryptionJwk: key, payload: decrypt(key, jwe) }
    } catch {
      return { decrypted: false }
    }
  },
}

const server = new Oauth2AuthorizationServer({ callbacks })
const resource = new Oauth2ResourceServer({ callbacks })
const issuer = new Openid4vciIssuer({ callbacks })
const sdjwt = (more) => new SDJwtVcInstance({
  hasher: hash, hashAlg: 'sha-256', saltGenerator: (n) => encode(randomBytes(n)), signAlg: 'ES256', ...more,
})

class Refused extends Error {
  constructor(status, body, headers) {
    super(JSON.stringify(body))
    Object.assign(this, { status, body, headers })
  }
}
const refuse = (error, description) => new Refused(400, { error, error_description: description })

// ---- Issuer and authorization server.

const metadata = () => ({
  credential_issuer: base, credential_endpoint: `${base}/credential`, nonce_endpoint: `${base}/nonce`, notification_endpoint: `${base}/notification`,
  batch_credential_issuance: { batch_size: 3 }, display: [{ name: 'Office of strangers', locale: 'en' }],
  credential_configurations_supported: {
    licence: {
      format: 'dc+sd-jwt', vct: type, scope: 'licence', cryptographic_binding_methods_supported: ['jwk'], credential_signing_alg_values_supported: ['ES256'],
      proof_types_supported: { jwt: { proof_signing_alg_values_supported: ['ES256'] } },
      credential_metadata: {
        display: [{ name: 'Licence of strangers', locale: 'en' }],
        claims: Object.keys(claimsOf).map((name) => ({ path: [name], display: [{ name: name.replace('_', ' '), locale: 'en' }] })),
      },
    },
  },
  ...spoiled.metadata,
})
const serverMetadata = () => ({
  issuer: base, token_endpoint: `${base}/token`, authorization_endpoint: `${base}/authorize`, pushed_authorization_request_endpoint: `${base}/par`,
  jwks_uri: `${base}/tokens.json`, require_pushed_authorization_requests: true, authorization_response_iss_parameter_supported: true,
  grant_types_supported: ['authorization_code', PRE_AUTHORIZED], response_types_supported: ['code'], code_challenge_methods_supported: ['S256'], scopes_supported: ['licence'],
  dpop_signing_alg_values_supported: ['ES256'], token_endpoint_auth_methods_supported: ['none'], 'pre-authorized_grant_anonymous_access_supported': true,
  ...spoiled.server,
})
const known = () => ({ credentialIssuer: metadata(), authorizationServers: [serverMetadata()], originalDraftVersion: 'V1', knownCredentialConfigurations: metadata().credential_configurations_supported })

const offers = new Map() // by reference
const codes = new Map() // pre-authorised codes and authorization codes
const pushed = new Map()
const nonces = new Set() // c_nonce and DPoP nonces that were not used yet
const revoked = new Set() // places in the status list
let given = 0 // places that were given out

const newNonce = () => { const n = random(); nonces.add(n); return n }
const take = (from, key) => { const value = from.get(key); from.delete(key); return value }

// Proofs of DPoP must have a nonce of ours: RFC 9449 section 8.
function dpopNonce(req, status, header) {
  const jwt = req.headers.dpop
  if (!jwt) return
  const { payload } = decodeJwt({ jwt })
  if (nonces.delete(payload.nonce)) return
  throw new Refused(status, { error: 'use_dpop_nonce' }, { 'DPoP-Nonce': newNonce(), ...header })
}

const like = (req) => ({ method: req.method, url: base + req.url, headers: new Headers(Object.entries(req.headers)) })

async function token(req, form) {
  dpopNonce(req, 400)
  const { accessTokenRequest, grant, dpop, pkceCodeVerifier } = server.parseAccessTokenRequest({ accessTokenRequest: form, request: like(req) })
  const common = { authorizationServerMetadata: serverMetadata(), accessTokenRequest, grant, request: like(req), now: now() }
  const proof = { required: true, jwt: dpop?.jwt, allowedSigningAlgs: ['ES256'] }
  let verified, session
  if (grant.grantType === PRE_AUTHORIZED) {
    session = codes.get(grant.preAuthorizedCode)
    if (!session) throw refuse('invalid_grant', 'no such code')
    verified = await server.verifyPreAuthorizedCodeAccessTokenRequest({
      ...common, expectedPreAuthorizedCode: grant.preAuthorizedCode, expectedTxCode: session.txCode, dpop: proof,
    })
    codes.delete(grant.preAuthorizedCode)
  } else {
    session = take(codes, grant.code)
    if (!session || session.request.redirect_uri !== form.redirect_uri || session.request.client_id !== form.client_id) throw refuse('invalid_grant', 'no such code')
    verified = await server.verifyAuthorizationCodeAccessTokenRequest({
      ...common, expectedCode: grant.code, dpop: { ...proof, expectedJwkThumbprint: session.thumbprint },
      pkce: { codeVerifier: pkceCodeVerifier, codeChallenge: session.request.code_challenge, codeChallengeMethod: session.request.code_challenge_method },
    })
  }
  const response = await server.createAccessTokenResponse({
    audience: base, authorizationServer: base, expiresInSeconds: 300, subject: random(), scope: 'licence', clientId: form.client_id, dpop: verified.dpop,
    signer: { method: 'jwk', alg: 'ES256', publicJwk: await publicKey('tokens'), name: 'tokens' },
  })
  return { body: response, headers: { 'DPoP-Nonce': newNonce() } }
}

async function par(req, form) {
  dpopNonce(req, 400)
  const { authorizationRequest: request, dpop } = await server.parsePushedAuthorizationRequest({ authorizationRequest: form, request: like(req) })
  const verified = await server.verifyPushedAuthorizationRequest({
    authorizationServerMetadata: serverMetadata(), authorizationRequest: request, request: like(req), now: now(),
    dpop: { required: true, jwt: dpop?.jwt, jwkThumbprint: dpop?.jwkThumbprint, allowedSigningAlgs: ['ES256'] },
  })
  if (request.code_challenge_method !== 'S256' || !request.code_challenge) throw refuse('invalid_request', 'no challenge')
  if (offers.get('code')?.state && request.issuer_state !== offers.get('code').state) throw refuse('invalid_request', 'no such issuer_state')
  const uri = `urn:ietf:params:oauth:request_uri:${random()}`
  pushed.set(uri, { request, thumbprint: verified.dpop.jwkThumbprint })
  return { status: 201, body: server.createPushedAuthorizationResponse({ requestUri: uri, expiresInSeconds: 60 }).pushedAuthorizationResponse, headers: { 'DPoP-Nonce': newNonce() } }
}

// The holder is signed in already: this office knows everybody.
function authorize(req, query) {
  const session = take(pushed, query.request_uri)
  if (!session || session.request.client_id !== query.client_id) throw refuse('invalid_request', 'no such request')
  const code = random()
  codes.set(code, session)
  const to = new URL(session.request.redirect_uri)
  for (const [name, value] of Object.entries({ code, state: session.request.state, iss: base, ...spoiled.answer })) if (value) to.searchParams.set(name, value)
  return { status: 302, headers: { Location: String(to) } }
}

async function credential(req, body) {
  const { tokenPayload } = await resource.verifyResourceRequest({
    request: like(req), resourceServer: base, authorizationServers: [serverMetadata()], allowedAuthenticationSchemes: ['DPoP'], now: now(),
  }).catch((e) => { throw new Refused(401, { error: 'invalid_token' }, { 'WWW-Authenticate': e.toHeaderValue?.() ?? 'DPoP error="invalid_token"' }) })
  dpopNonce(req, 401, { 'WWW-Authenticate': 'DPoP error="use_dpop_nonce"' })
  const request = issuer.parseCredentialRequest({ credentialRequest: JSON.parse(body), issuerMetadata: known() })
  if (request.credentialConfigurationId !== 'licence') throw refuse('unknown_credential_configuration')
  const jwts = request.proofs?.jwt ?? []
  if (jwts.length < 1 || jwts.length > 3) throw refuse('invalid_proof', `${jwts.length} proofs`)
  const { nonce } = decodeJwt({ jwt: jwts[0] }).payload
  if (!nonces.delete(nonce)) throw refuse('invalid_nonce')
  const credentials = []
  for (const jwt of jwts) {
    const proof = await issuer.verifyCredentialRequestJwtProof({ jwt, expectedNonce: nonce, clientId: tokenPayload.client_id, issuerMetadata: known(), now: now() })
    credentials.push({ credential: await issue(proof.signer.publicJwk ?? proof.header.jwk) })
  }
  return { body: issuer.createCredentialResponse({ credentials, notificationId: random(), credentialRequest: request }), headers: { 'DPoP-Nonce': newNonce() } }
}

async function issue({ kty, crv, x, y }) {
  const { payload, key = 'issuer', holder, flip } = spoiled.credential ?? {}
  const text = await sdjwt({ signer: await signer(key) }).issue({
    iss: base, vct: type, iat: seconds(), exp: seconds() + 86400, cnf: { jwk: holder ? await publicKey(holder) : { kty, crv, x, y } },
    status: { status_list: { idx: given++, uri: `${base}/status/1` } }, ...claimsOf, ...payload,
  }, { _sd: Object.keys(claimsOf) }, { header: { x5c: chains.issuer } })
  return flip ? flipped(text) : text
}

// Another payload under the same signature.
function flipped(text) {
  const [header, payload, ...rest] = text.split('.')
  const changed = { ...JSON.parse(Buffer.from(payload, 'base64url')), iat: seconds() - 1, altered: true }
  return [header, encode(JSON.stringify(changed)), ...rest].join('.')
}

// Of a minute ago: the peers' own verifier takes the time before it fetches the list, and refuses
// one that was made when a second had passed since.
async function statusList() {
  const list = new StatusList(Array.from({ length: 1024 }, (_, i) => (revoked.has(i) ? 1 : 0)), 1)
  const { header, payload } = createHeaderAndPayload(list, { iss: base, sub: `${base}/status/1`, iat: seconds() - 60, exp: seconds() + 3600, ttl: 60 },
    { alg: 'ES256', typ: 'statuslist+jwt', x5c: chains.status })
  return { type: 'application/statuslist+jwt', text: await sign('status', header, payload) }
}

// ---- Verifier.

const transactions = new Map() // by id, which is the kid of the key, too

async function requestObject(id, walletNonce) {
  const t = transactions.get(id)
  if (!t) throw new Refused(404, { error: 'not_found' })
  if (spoiled.replay) return spoiled.replay // what another wallet got
  const { d, ...jwk } = t.key
  t.payload = {
    response_type: 'vp_token', response_mode: 'direct_post.jwt', response_uri: `${base}/vp/response/${id}`, client_id: t.client, nonce: t.nonce, state: t.state,
    dcql_query: t.query,
    client_metadata: {
      jwks: { keys: [jwk] }, vp_formats_supported: { 'dc+sd-jwt': { 'sd-jwt_alg_values': ['ES256'], 'kb-jwt_alg_values': ['ES256'] } },
      encrypted_response_enc_values_supported: ['A128GCM', 'A256GCM'],
    },
    ...(walletNonce && { wallet_nonce: walletNonce }), ...t.more, ...spoiled.request,
  }
  const r = await createOpenid4vpAuthorizationRequest({
    authorizationRequestPayload: t.payload, callbacks, wallet: { expectedNonce: t.payload.wallet_nonce },
    jar: {
      requestUri: `${base}/vp/request/${id}`, expiresInSeconds: spoiled.life ?? 300, now: now(), additionalJwtPayload: { aud: spoiled.audience ?? 'https://self-issued.me/v2' },
      jwtSigner: { method: 'x5c', alg: 'ES256', x5c: chains.verifier },
    },
  })
  t.link = r.authorizationRequest
  const object = r.jar.authorizationRequestJwt
  return spoiled.flipRequest ? flipped(object) : object
}

async function response(id, form) {
  const t = transactions.get(id)
  if (!t || t.outcome) throw new Refused(400, { error: 'invalid_request', error_description: 'answered already' })
  if (form.error) { // the library reads answers only
    t.outcome = { refused: form.error }
    return { body: {} }
  }
  try {
    const r = await parseOpenid4vpAuthorizationResponse({ authorizationResponse: form, authorizationRequestPayload: t.payload, callbacks })
    if (!form.response) throw new Error('not encrypted')
    const presented = {}
    t.outcome = { claims: {} }
    for (const [query, texts] of Object.entries(r.dcql.presentations)) {
      presented[query] = await Promise.all(texts.map(async (text) => {
        const { payload, kb } = await sdjwt({
          verifier: (data, sig) => verify(t.issuer, data, sig), kbVerifier: (data, sig, p) => verify(p.cnf.jwk, data, sig),
          statusVerifier: (data, sig) => verify(t.status, data, sig),
        }).verify(text, { currentDate: seconds(), keyBindingNonce: t.nonce, requiredClaimKeys: ['vct', 'iss'] })
        if (kb.payload.aud !== t.client) throw new Error(`the proof is for ${kb.payload.aud}`)
        t.outcome.claims[query] = payload
        return { credential_format: 'dc+sd-jwt', vct: payload.vct, claims: payload, cryptographic_holder_binding: true }
      }))
    }
    const judged = DcqlPresentationResult.fromDcqlPresentation(presented, { dcqlQuery: DcqlQuery.parse(t.query) })
    if (!judged.can_be_satisfied) throw new Error('not what was asked for')
  } catch (e) {
    t.outcome = { invalid: e.message }
    throw new Refused(400, { error: 'invalid_request' })
  }
  return { body: { redirect_uri: `${base}/vp/done?response_code=${random()}` } }
}

// ---- The way in.

async function answer(req, body) {
  const { pathname, searchParams } = new URL(req.url, base)
  const form = Object.fromEntries(new URLSearchParams(body))
  const at = `${req.method} ${pathname}`
  const part = (prefix) => at.startsWith(prefix) && at.slice(prefix.length)
  switch (at) {
    case 'GET /.well-known/openid-credential-issuer':
      if (!/application\/jwt/.test(req.headers.accept)) return { body: issuer.createCredentialIssuerMetadata(metadata()) }
      return {
        type: 'application/jwt',
        text: await issuer.createSignedCredentialIssuerMetadataJwt({
          credentialIssuerMetadata: metadata(), signer: { method: 'x5c', alg: 'ES256', x5c: chains.metadata, name: spoiled.metadataKey ?? 'metadata' }, issuedAt: now(),
        }),
      }
    case 'GET /.well-known/oauth-authorization-server': return { body: server.createAuthorizationServerMetadata(serverMetadata()) }
    case 'POST /par': return par(req, form)
    case 'GET /authorize': return authorize(req, Object.fromEntries(searchParams))
    case 'POST /token': return token(req, form)
    case 'POST /nonce': return { body: issuer.createNonceResponse({ cNonce: newNonce() }), headers: { 'Cache-Control': 'no-store' } }
    case 'POST /credential': return credential(req, body)
    case 'POST /notification': log.push(JSON.parse(body).event); return { status: 204 }
    case 'GET /status/1': return statusList()
  }
  let id
  if ((id = part('GET /offer/'))) {
    const offer = offers.get(id)
    if (!offer) throw new Refused(404, { error: 'not_found' })
    return { body: offer.object }
  }
  if ((id = part('GET /vp/request/'))) return { type: 'application/oauth-authz-req+jwt', text: await requestObject(id) }
  if ((id = part('POST /vp/request/'))) return { type: 'application/oauth-authz-req+jwt', text: await requestObject(id, form.wallet_nonce) }
  if ((id = part('POST /vp/response/'))) return response(id, form)
  throw new Refused(404, { error: 'not_found' })
}

async function serve(req, res) {
  let body = ''
  for await (const piece of req) body += piece
  let a
  try {
    a = await answer(req, body)
  } catch (e) {
    const said = e.body ?? e.errorResponse ?? { error: 'server_error' }
    log.push(`${req.url.split('?')[0].replace(/[^/]{20,}/, '*')}: ${said.error}: ${e.message}`)
    a = { status: e.status ?? 400, body: said, headers: e.headers }
  }
  const text = a.text ?? (a.body === undefined ? '' : JSON.stringify(a.body))
  res.writeHead(a.status ?? 200, { ...(text && { 'Content-Type': a.type ?? 'application/json' }), ...a.headers })
  res.end(text)
}

export default {
  key: ({ name }) => publicKey(name),

  /** Listens with a certificate for TLS and says where. It ends with the process. */
  listen: ({ cert, key }) => new Promise((done) => {
    const s = createServer({ cert, key }, serve).listen(0, '127.0.0.1', () => {
      s.unref() // the end of the input ends us
      base = `https://localhost:${s.address().port}`
      done({ url: base })
    })
  }),
  /** The chains of the keys issuer, metadata, status and verifier, and the type of the credentials. */
  configure: (c) => { ({ chains, type } = c) },
  spoil: (how) => { spoiled = how ?? {} },
  log: () => log,
  revoke: ({ index }) => { revoked.add(index) },

  /** An offer by reference, with a code and a transaction code, or to sign in. */
  offer: async ({ txCode, signIn }) => {
    const id = signIn ? 'code' : random()
    const code = random()
    const grants = signIn ? { authorization_code: { issuer_state: code } } : {
      [PRE_AUTHORIZED]: { 'pre-authorized_code': code, ...(txCode && { tx_code: { length: txCode.length, input_mode: 'numeric' } }) },
    }
    if (!signIn) codes.set(code, { txCode })
    const made = await issuer.createCredentialOffer({
      issuerMetadata: known(), credentialConfigurationIds: ['licence'], grants, credentialOfferUri: `${base}/offer/${id}`,
    })
    offers.set(id, { object: made.credentialOfferObject, state: signIn && code })
    return made.credentialOffer
  },

  /** A request for a query: its id and link. Issuer and status are keys that the verifier trusts. */
  ask: async ({ query, issuer, status, more, post }) => {
    const id = random()
    const client = `x509_hash:${createHash('sha256').update(Buffer.from(chains.verifier[0], 'base64')).digest('base64url')}`
    transactions.set(id, {
      key: decryptionKey(id), nonce: random(), state: random(), client, query, more,
      issuer: issuer ?? await publicKey('issuer'), status: status ?? await publicKey('status'),
    })
    const object = await requestObject(id, undefined)
    const { link } = transactions.get(id)
    return { id, object, link: post ? `${link}&request_uri_method=post` : link }
  },
  outcome: ({ id }) => transactions.get(id).outcome ?? {},
}
