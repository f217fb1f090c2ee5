//go:build !js

package jose

import (
	"crypto/ecdsa"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwe"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/sanad-id/sanad/keys"
)

// verifiers are those of the library, one for each algorithm we accept. They hold no
// key and can be used from several goroutines.
var verifiers = map[keys.Algorithm]jws.Verifier{}

func init() {
	for ours, theirs := range map[keys.Algorithm]jwa.SignatureAlgorithm{
		keys.ES256: jwa.ES256, keys.ES384: jwa.ES384, keys.EdDSA: jwa.EdDSA,
	} {
		v, err := jws.NewVerifier(theirs)
		if err != nil {
			panic("jose: internal error: " + err.Error())
		}
		verifiers[ours] = v
	}
}

// verified reports whether a signature of the right length, by an algorithm that is
// carried, is that of pub.
func verified(alg keys.Algorithm, pub keys.PublicKey, message, signature []byte) bool {
	return verifiers[alg].Verify(message, signature, pub.Crypto()) == nil
}

// contentEncryptions are the library's names.
var contentEncryptions = map[Encryption]jwa.ContentEncryptionAlgorithm{A128GCM: jwa.A128GCM, A256GCM: jwa.A256GCM}

// seal encrypts with an encryption that is carried.
func seal(payload []byte, to EncryptionKey, enc Encryption) (string, error) {
	headers := jwe.NewHeaders()
	if to.KeyID != "" {
		if err := headers.Set(jwe.KeyIDKey, to.KeyID); err != nil {
			return "", err
		}
	}
	b, err := jwe.Encrypt(payload, jwe.WithKey(jwa.ECDH_ES, to.pub), jwe.WithContentEncryption(contentEncryptions[enc]), jwe.WithProtectedHeaders(headers))
	return string(b), err
}

// unseal opens a token that was read and bounded.
func unseal(token string, key *ecdsa.PrivateKey) ([]byte, error) {
	return jwe.Decrypt([]byte(token), jwe.WithKey(jwa.ECDH_ES, key))
}
