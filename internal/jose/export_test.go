package jose

import "github.com/sanad-id/sanad/keys"

// ParseAnyType is Parse for the vectors whose tokens state no type.
func ParseAnyType(token string) (*Message, error) { return parse(token, Expect{}) }

// VerifyBytes is verify, for the vectors that are no tokens.
func VerifyBytes(alg keys.Algorithm, pub keys.PublicKey, message, signature []byte) error {
	return verify(alg, pub, message, signature)
}

// The standard library's side, which browsers are built from.
var (
	PlainSeal     = plainSeal
	PlainVerified = plainVerified
)

// PlainUnseal is plainUnseal with the key of a test.
func PlainUnseal(token string, key *DecryptionKey) ([]byte, error) {
	return plainUnseal(token, key.key())
}
