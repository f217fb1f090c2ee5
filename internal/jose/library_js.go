package jose

import (
	"crypto/ecdsa"

	"github.com/sanad-id/sanad/keys"
)

func verified(alg keys.Algorithm, pub keys.PublicKey, message, signature []byte) bool {
	return plainVerified(alg, pub, message, signature)
}

func seal(payload []byte, to EncryptionKey, enc Encryption) (string, error) {
	return plainSeal(payload, to, enc)
}

func unseal(token string, key *ecdsa.PrivateKey) ([]byte, error) { return plainUnseal(token, key) }
