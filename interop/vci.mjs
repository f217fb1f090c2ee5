// @openid4vc/openid4vci and @openid4vc/oauth2 0.4.6: as wallet against an issuer at an
// address, and as issuer and authorization server that judge single messages.
import { randomBytes, X509Certificate } from 'node:crypto'
import { createKeyAttestationJwt, Openid4vciClient, Openid4vciIssuer, setGlobalConfig } from '@openid4vc/openid4vci'
import {
  clientAuthenticationAnonymous,
  clientAuthenticationClientAttestationJwt,
  clientAuthenticationNone,
  createClientAttestationJwt,
  Oauth2AuthorizationServer,
  Oauth2Client,
} from '@openid4vc/oauth2'
import { encode, hash, publicKey, signer, signerFor, verify } from './keys.mjs'
import sdjwt from './sdjwt.mjs'

setGlobalConfig({ allowInsecureUrls: true }) // loopback only: the tests' servers

// The key that signs tokens which name it by a kid only, for verifyJwt.
let known

// A polite wallet: told that it asks too often, it waits and asks again.
async function patientFetch(...args) {
  for (;;) {
    const response = await fetch(...args)
    if (response.status !== 429) return response
    await new Promise((done) => setTimeout(done, 1000 * Number(response.headers.get('Retry-After') ?? 1)))
  }
}

const callbacks = {
  fetch: patientFetch,
  hash,
  generateRandom: (n) => randomBytes(n),
  signJwt: async (jwtSigner, { header, payload }) => {
    const text = `${encode(JSON.stringify(header))}.${encode(JSON.stringify(payload))}`
    const sign = jwtSigner.method === 'x5c' ? await signer(jwtSigner.kid) : await signerFor(jwtSigner.publicJwk)
    return { jwt: `${text}.${await sign(text)}`, signerJwk: jwtSigner.publicJwk }
  },
  verifyJwt: async (jwtSigner, { compact }) => {
    let jwk = jwtSigner.publicJwk ?? known
    if (jwtSigner.method === 'x5c') jwk = new X509Certificate(Buffer.from(jwtSigner.x5c[0], 'base64')).publicKey.export({ format: 'jwk' })
    const at = compact.lastIndexOf('.')
    return { verified: await verify(jwk, compact.slice(0, at), compact.slice(at + 1)), signerJwk: jwk }
  },
}

const signerOf = async (name) => ({ method: 'jwk', alg: 'ES256', publicJwk: await publicKey(name) })
// Whoever attests names its key by a chain; kid is the name that the key has here.
const attester = (name, x5c) => ({ method: 'x5c', alg: 'ES256', x5c, kid: name })

// A wallet: anonymous, named, or attested by the key "provider" with this chain.
async function walletFor({ clientId, attested }) {
  let clientAuthentication = clientId ? clientAuthenticationNone({ clientId }) : clientAuthenticationAnonymous()
  if (attested) {
    const clientAttestationJwt = await createClientAttestationJwt({
      callbacks, issuer: 'https://provider.example', clientId, signer: attester('provider', attested),
      confirmation: { jwk: await publicKey('instance') }, issuedAt: new Date(), expiresAt: new Date(Date.now() + 3600_000), walletName: 'A wallet of theirs',
    })
    clientAuthentication = clientAuthenticationClientAttestationJwt({ callbacks, clientAttestationJwt })
  }
  const { verifyJwt, ...rest } = callbacks
  const wallet = new Openid4vciClient({ callbacks: { ...rest, clientAuthentication } })
  wallet.oauth = new Oauth2Client({ callbacks: { ...callbacks, clientAuthentication } })
  return wallet
}

const flows = new Map() // of authorizations that wait for the browser

// Fetches credentials with an access token, one for each of our keys.
async function fetchCredentials(wallet, { issuerMetadata, configurationId, token, dpop, copies = 1, clientId, attestedKeys, finalTyp }) {
  const { c_nonce: nonce } = await wallet.requestNonce({ issuerMetadata })
  const jwt = []
  if (attestedKeys) {
    // One attestation of all keys, none of which signs.
    const proofs = { attestation: [await keyAttestation({ x5c: attestedKeys, finalTyp, nonce, keys: Array.from({ length: copies }, (_, i) => `copy ${i}`) })] }
    const got = await wallet.retrieveCredentials({ issuerMetadata, accessToken: token.access_token, credentialConfigurationId: configurationId, proofs, dpop })
    return { ...got.credentialResponse, status: got.response.status, tokenType: token.token_type }
  }
  for (let i = 0; i < copies; i++) {
    const signer = await signerOf(`copy ${i}`)
    jwt.push((await wallet.createCredentialRequestJwtProof({ issuerMetadata, signer, nonce, credentialConfigurationId: configurationId, clientId })).jwt)
  }
  const { access_token: accessToken, authorization_details: details } = token
  const id = details?.[0]?.credential_identifiers?.[0]
  let answer
  if (id) {
    // The library asks by configuration only; by identifier it is left to the caller.
    const response = await new Oauth2Client({ callbacks }).resourceRequest({
      url: issuerMetadata.credentialIssuer.credential_endpoint, accessToken, dpop,
      requestOptions: { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ credential_identifier: id, proofs: { jwt } }) },
    })
    answer = { ...(await response.response.json()), status: response.response.status, dpop: response.dpop }
    if (!response.ok) throw Object.assign(new Error(`credential endpoint: ${answer.status}`), { response: answer })
  } else {
    const got = await wallet.retrieveCredentials({ issuerMetadata, accessToken, credentialConfigurationId: configurationId, proofs: { jwt }, dpop })
    answer = { ...got.credentialResponse, status: got.response.status, dpop: got.dpop }
  }
  flows.set('last', { wallet, issuerMetadata, accessToken, dpop: { ...dpop, ...answer.dpop }, answer, jwt })
  return { ...answer, dpop: undefined, tokenType: token.token_type, byIdentifier: Boolean(id) }
}

// The library writes the typ of draft 15, "keyattestation+jwt"; with finalTyp it is that
// of 1.0.
async function keyAttestation({ keys, nonce, x5c, finalTyp }) {
  const final = { ...callbacks, signJwt: (by, { header, payload }) => callbacks.signJwt(by, { header: { ...header, typ: 'key-attestation+jwt' }, payload }) }
  return createKeyAttestationJwt({
    callbacks: finalTyp ? final : callbacks, nonce, use: 'proof_type.attestation', issuedAt: new Date(), expiresAt: new Date(Date.now() + 3600_000),
    signer: x5c ? attester('attester', x5c) : await signerOf('attester'),
    attestedKeys: await Promise.all(keys.map(publicKey)), keyStorage: ['iso_18045_high'], userAuthentication: ['iso_18045_high'],
  })
}

const metadataOf = (metadata) => ({ credentialIssuer: metadata, authorizationServers: [], originalDraftVersion: 'V1', knownCredentialConfigurations: metadata.credential_configurations_supported })
const issuer = new Openid4vciIssuer({ callbacks })
const server = new Oauth2AuthorizationServer({ callbacks })
const at = (now) => new Date(now * 1000)

export default {
  ...sdjwt, // to present what was fetched
  key: ({ name }) => publicKey(name),
  know: ({ jwk }) => { known = jwk },

  // Wallet.

  /** What the wallet reads of an offer and of the metadata behind it. */
  resolve: async ({ offer }) => {
    const wallet = await walletFor({})
    const credentialOffer = await wallet.resolveCredentialOffer(offer)
    const { credentialIssuer, authorizationServers, originalDraftVersion } = await wallet.resolveIssuerMetadata(credentialOffer.credential_issuer)
    return { credentialOffer, credentialIssuer, authorizationServers, version: originalDraftVersion }
  },

  /** The whole pre-authorised flow: offer, token with DPoP, nonce, proofs, credentials. */
  preAuthorized: async ({ offer, txCode, copies, clientId, attested, attestedKeys, finalTyp }) => {
    const wallet = await walletFor({ clientId, attested })
    const credentialOffer = await wallet.resolveCredentialOffer(offer)
    const issuerMetadata = await wallet.resolveIssuerMetadata(credentialOffer.credential_issuer)
    const { accessTokenResponse: token, dpop } = await wallet.retrievePreAuthorizedCodeAccessTokenFromOffer({
      credentialOffer, issuerMetadata, txCode, dpop: { signer: await signerOf('session') },
    })
    const configurationId = credentialOffer.credential_configuration_ids[0]
    return fetchCredentials(wallet, { issuerMetadata, configurationId, token, dpop, copies, clientId: attested ? clientId : undefined, attestedKeys, finalTyp })
  },

  /** Pushes an authorization request with PKCE and DPoP; returns where the browser goes. */
  beginAuthorization: async ({ offer, clientId, redirectUri, attested }) => {
    const wallet = await walletFor({ clientId, attested })
    const credentialOffer = await wallet.resolveCredentialOffer(offer)
    const issuerMetadata = await wallet.resolveIssuerMetadata(credentialOffer.credential_issuer)
    const configurationId = credentialOffer.credential_configuration_ids[0]
    // Not by createAuthorizationRequestUrlFromOffer, which loses the state (0.4.6).
    const [authorizationServerMetadata] = issuerMetadata.authorizationServers
    const begun = await wallet.oauth.createAuthorizationRequestUrl({
      authorizationServerMetadata, clientId, redirectUri, state: 'state-1', resource: issuerMetadata.credentialIssuer.credential_issuer,
      scope: issuerMetadata.credentialIssuer.credential_configurations_supported[configurationId].scope, dpop: { signer: await signerOf('session') },
      additionalRequestPayload: { issuer_state: credentialOffer.grants.authorization_code.issuer_state },
    })
    begun.authorizationServer = authorizationServerMetadata.issuer
    flows.set('state-1', { wallet, credentialOffer, issuerMetadata, configurationId, clientId, redirectUri, begun })
    return { url: begun.authorizationRequestUrl, server: begun.authorizationServer }
  },

  /** Goes on with the address to which the browser was sent back. */
  finishAuthorization: async ({ redirect, copies, verifier }) => {
    const { wallet, credentialOffer, issuerMetadata, configurationId, clientId, redirectUri, begun } = flows.get('state-1')
    const authorizationServerMetadata = issuerMetadata.authorizationServers.find((s) => s.issuer === begun.authorizationServer)
    const response = wallet.parseAndVerifyAuthorizationResponseRedirectUrl({ url: redirect, authorizationServerMetadata })
    if (response.error) throw new Error(`authorization response: ${response.error}`)
    if (response.state !== 'state-1') throw new Error('another state')
    const { accessTokenResponse: token, dpop } = await wallet.retrieveAuthorizationCodeAccessTokenFromOffer({
      credentialOffer, issuerMetadata, authorizationCode: response.code, pkceCodeVerifier: verifier ?? begun.pkce.codeVerifier, redirectUri, dpop: begun.dpop,
    })
    return fetchCredentials(wallet, { issuerMetadata, configurationId, token, dpop, copies, clientId })
  },

  /** Notifies the issuer of what became of the last credentials. */
  notify: async ({ event }) => {
    const { wallet, issuerMetadata, accessToken, dpop, answer } = flows.get('last')
    const { response } = await wallet.sendNotification({ issuerMetadata, accessToken, dpop, notification: { notificationId: answer.notification_id, event } })
    return { status: response.status }
  },

  /** Asks again for the last credentials, which were deferred. */
  deferred: async () => {
    const { wallet, issuerMetadata, accessToken, dpop, answer } = flows.get('last')
    const got = await wallet.retrieveDeferredCredentials({ issuerMetadata, accessToken, dpop, transactionId: answer.transaction_id })
    return { ...got.deferredCredentialResponse, status: got.response.status }
  },

  /** Sends the proofs of the last request once more. */
  replay: async ({ configurationId }) => {
    const { wallet, issuerMetadata, accessToken, dpop, jwt } = flows.get('last')
    const got = await wallet.retrieveCredentials({ issuerMetadata, accessToken, dpop, credentialConfigurationId: configurationId, proofs: { jwt } })
    return { ...got.credentialResponse, status: got.response.status }
  },

  // Issuer and authorization server.

  checkMetadata: ({ metadata }) => issuer.createCredentialIssuerMetadata(metadata),
  checkServerMetadata: ({ metadata }) => server.createAuthorizationServerMetadata(metadata),
  checkDpop: ({ jwt, method, url, accessToken, nonce, now }) =>
    server.verifyDpopJwt({ dpopJwt: jwt, request: { method, url, headers: new Headers() }, accessToken, expectedNonce: nonce, allowedSigningAlgs: ['ES256'], now: at(now) }),
  checkAttestation: ({ jwt, pop, authorizationServer, now }) =>
    server.verifyClientAttestation({ clientAttestationJwt: jwt, clientAttestationPopJwt: pop, authorizationServer, now: at(now) }),
  checkToken: ({ form }) =>
    server.parseAccessTokenRequest({ accessTokenRequest: form, request: { method: 'POST', url: 'https://issuer.example/token', headers: new Headers() } }).grant,
  checkPushed: async ({ form }) =>
    (await server.parsePushedAuthorizationRequest({ authorizationRequest: form, request: { method: 'POST', url: 'https://issuer.example/par', headers: new Headers() } })).authorizationRequest,
  checkCredentialRequest: ({ request, metadata }) => {
    const { credentialConfigurationId, credentialIdentifier, proofs } = issuer.parseCredentialRequest({ credentialRequest: request, issuerMetadata: metadataOf(metadata) })
    return { credentialConfigurationId, credentialIdentifier, proofs }
  },
  checkProof: async ({ jwt, nonce, clientId, metadata, now }) => {
    const got = await issuer.verifyCredentialRequestJwtProof({ jwt, expectedNonce: nonce, clientId, issuerMetadata: metadataOf(metadata), now: at(now) })
    return { header: got.header, payload: got.payload, attested: got.keyAttestation?.payload?.attested_keys }
  },
  checkKeyAttestation: ({ jwt, nonce, metadata, now }) =>
    issuer.verifyCredentialRequestAttestationProof({ keyAttestationJwt: jwt, expectedNonce: nonce, issuerMetadata: metadataOf(metadata), now: at(now) }).then((r) => r.payload),

  /** An offer of theirs, by value. */
  offer: async ({ metadata, configurationIds, code }) =>
    (await issuer.createCredentialOffer({
      issuerMetadata: metadataOf(metadata), credentialConfigurationIds: configurationIds,
      grants: { 'urn:ietf:params:oauth:grant-type:pre-authorized_code': { 'pre-authorized_code': code, tx_code: { length: 6, input_mode: 'numeric' } } },
    })).credentialOffer,
  /** Their answers of the credential and nonce endpoints. */
  credentialResponse: async ({ credentials, notificationId }) =>
    issuer.createCredentialResponse({ credentials: credentials.map((credential) => ({ credential })), notificationId, credentialRequest: { credentialConfigurationId: 'birth', proofs: { jwt: credentials } } }),
  nonceResponse: ({ nonce }) => issuer.createNonceResponse({ cNonce: nonce }),
  signedMetadata: async ({ metadata }) =>
    issuer.createSignedCredentialIssuerMetadataJwt({ credentialIssuerMetadata: metadata, signer: await signerOf('metadata'), issuedAt: new Date() }),
  keyAttestation,
}
