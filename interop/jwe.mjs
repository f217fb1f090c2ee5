// Compact JWE with ECDH-ES on P-256 and AES-GCM (RFC 7518 sections 4.6, 5.3), for
// the callbacks of the peers.
import { createCipheriv, createDecipheriv, createHash, createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync, randomBytes } from 'node:crypto'

const bytes = { A128GCM: 16, A256GCM: 32 }
const url = (b) => Buffer.from(b).toString('base64url')
const raw = (s) => Buffer.from(s ?? '', 'base64url')

/** The content key: one round of Concat KDF is enough for 256 bits. */
function contentKey(privateKey, publicKey, { enc, apu, apv }) {
  const number = (n) => { const b = Buffer.alloc(4); b.writeUInt32BE(n); return b }
  const counted = (b) => Buffer.concat([number(b.length), b])
  const z = diffieHellman({ privateKey, publicKey })
  const info = Buffer.concat([counted(Buffer.from(enc)), counted(raw(apu)), counted(raw(apv)), number(bytes[enc] * 8)])
  return createHash('sha256').update(number(1)).update(z).update(info).digest().subarray(0, bytes[enc])
}

export function encrypt(jwk, plaintext, { enc, apu, apv }) {
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { kty, crv, x, y } = own.publicKey.export({ format: 'jwk' })
  const header = { alg: 'ECDH-ES', enc, kid: jwk.kid, epk: { kty, crv, x, y }, ...(apu && { apu }), ...(apv && { apv }) }
  const key = contentKey(own.privateKey, createPublicKey({ key: jwk, format: 'jwk' }), header)
  const iv = randomBytes(12)
  const protectedHeader = url(JSON.stringify(header))
  const cipher = createCipheriv(`aes-${bytes[enc] * 8}-gcm`, key, iv).setAAD(Buffer.from(protectedHeader))
  const sealed = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final()])
  return [protectedHeader, '', url(iv), url(sealed), url(cipher.getAuthTag())].join('.')
}

export function decrypt(jwk, token) {
  const [protectedHeader, , iv, sealed, tag] = token.split('.')
  const header = JSON.parse(raw(protectedHeader))
  const key = contentKey(createPrivateKey({ key: jwk, format: 'jwk' }), createPublicKey({ key: header.epk, format: 'jwk' }), header)
  const decipher = createDecipheriv(`aes-${bytes[header.enc] * 8}-gcm`, key, raw(iv)).setAAD(Buffer.from(protectedHeader)).setAuthTag(raw(tag))
  return Buffer.concat([decipher.update(raw(sealed)), decipher.final()]).toString('utf8')
}

/** A key pair for one request: the private JWK. */
export function decryptionKey(kid) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { ...privateKey.export({ format: 'jwk' }), kid, use: 'enc', alg: 'ECDH-ES' }
}
