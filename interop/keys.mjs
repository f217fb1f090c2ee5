// Keys of the peers: P-256, made on first use, by name.
import { webcrypto } from 'node:crypto'

const { subtle } = webcrypto
const algorithm = { name: 'ECDSA', namedCurve: 'P-256' }
const signature = { name: 'ECDSA', hash: 'SHA-256' }
const made = new Map()

export const encode = (bytes) => Buffer.from(bytes).toString('base64url')

async function pair(name) {
  if (!made.has(name)) made.set(name, await subtle.generateKey(algorithm, true, ['sign', 'verify']))
  return made.get(name)
}

/** The public JWK of the key with this name. */
export async function publicKey(name) {
  const { kty, crv, x, y } = await subtle.exportKey('jwk', (await pair(name)).publicKey)
  return { kty, crv, x, y }
}

/** A function that signs text with the key of this name and returns base64url. */
export async function signer(name) {
  const { privateKey } = await pair(name)
  return async (text) => encode(await subtle.sign(signature, privateKey, Buffer.from(text)))
}

/** Signs for whichever of our keys has this public JWK. */
export async function signerFor(jwk) {
  for (const name of made.keys()) {
    const own = await publicKey(name)
    if (own.x === jwk.x && own.y === jwk.y) return signer(name)
  }
  throw new Error('no key of ours')
}

/** Verifies a signature over text by a public JWK. */
export async function verify(jwk, text, sig) {
  const { kty, crv, x, y } = jwk
  const key = await subtle.importKey('jwk', { kty, crv, x, y }, algorithm, false, ['verify'])
  return subtle.verify(signature, key, Buffer.from(sig, 'base64url'), Buffer.from(text))
}

export const hash = async (data, alg) =>
  new Uint8Array(await subtle.digest(alg.toUpperCase(), typeof data === 'string' ? Buffer.from(data) : data))
