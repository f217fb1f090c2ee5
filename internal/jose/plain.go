package jose

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/big"
	"strings"

	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
)

// This file does with the standard library what library.go does with jwx. Browsers are
// built from it; tests hold the two against each other.

// plainVerified is verified.
func plainVerified(alg keys.Algorithm, pub keys.PublicKey, message, signature []byte) bool {
	switch key := pub.Crypto().(type) {
	case *ecdsa.PublicKey:
		h := alg.Hash().New()
		h.Write(message)
		half := len(signature) / 2
		return ecdsa.Verify(key, h.Sum(nil), new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:]))
	case ed25519.PublicKey:
		return ed25519.Verify(key, message, signature)
	}
	return false
}

// plainSeal is seal: RFC 7516 section 5.1 with RFC 7518 sections 4.6 and 5.3.
func plainSeal(payload []byte, to EncryptionKey, enc Encryption) (string, error) {
	ours, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	point, err := ours.PublicKey.Bytes()
	if err != nil {
		return "", err
	}
	header := map[string]any{
		"alg": keyAgreement, "enc": string(enc),
		"epk": map[string]any{"kty": "EC", "crv": "P-256", "x": strict.Base64URL(point[1:33]), "y": strict.Base64URL(point[33:])},
	}
	if to.KeyID != "" {
		header["kid"] = to.KeyID
	}
	b, err := strict.AppendJSON(nil, header)
	if err != nil {
		return "", err
	}
	protected := strict.Base64URL(b)
	aead, err := agree(ours, to.pub, enc, nil, nil)
	if err != nil {
		return "", err
	}
	nonce := make([]byte, nonceSize)
	if _, err := rand.Read(nonce); err != nil {
		return "", err
	}
	sealed := aead.Seal(nil, nonce, payload, []byte(protected))
	text, tag := sealed[:len(sealed)-tagSize], sealed[len(sealed)-tagSize:]
	return strings.Join([]string{protected, "", strict.Base64URL(nonce), strict.Base64URL(text), strict.Base64URL(tag)}, "."), nil
}

// plainUnseal is unseal.
func plainUnseal(token string, key *ecdsa.PrivateKey) ([]byte, error) {
	parts := strings.Split(token, ".")
	header, err := headerObject(parts[0])
	if err != nil {
		return nil, err
	}
	theirs, err := agreementKey(header.Get("epk"))
	if err != nil {
		return nil, err
	}
	var decoded [5][]byte // apu, apv, nonce, text, tag
	for i, name := range []string{"apu", "apv"} {
		s, err := member(header, name, 1024)
		if err != nil {
			return nil, err
		}
		if decoded[i], err = strict.DecodeBase64URL(s); err != nil {
			return nil, err
		}
	}
	for i, part := range parts[2:] {
		if decoded[i+2], err = strict.DecodeBase64URL(part); err != nil {
			return nil, err
		}
	}
	enc, _ := header.Get("enc").Text()
	aead, err := agree(key, theirs, Encryption(enc), decoded[0], decoded[1])
	if err != nil {
		return nil, err
	}
	if len(decoded[2]) != nonceSize {
		return nil, errors.New("a nonce of another length")
	}
	return aead.Open(nil, decoded[2], append(decoded[3], decoded[4]...), []byte(parts[0]))
}

// agree derives the key of the content (RFC 7518 section 4.6.2): one round of the
// Concat KDF, as no key is longer than its hash.
func agree(own *ecdsa.PrivateKey, other *ecdsa.PublicKey, enc Encryption, apu, apv []byte) (cipher.AEAD, error) {
	size := enc.keyBytes()
	if size == 0 {
		return nil, ErrAlgorithm
	}
	private, err := own.ECDH()
	if err != nil {
		return nil, err
	}
	public, err := other.ECDH()
	if err != nil {
		return nil, err
	}
	shared, err := private.ECDH(public)
	if err != nil {
		return nil, err
	}
	b := append(binary.BigEndian.AppendUint32(nil, 1), shared...)
	for _, part := range [][]byte{[]byte(enc), apu, apv} {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(part))), part...)
	}
	sum := sha256.Sum256(binary.BigEndian.AppendUint32(b, uint32(8*size)))
	block, err := aes.NewCipher(sum[:size])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
