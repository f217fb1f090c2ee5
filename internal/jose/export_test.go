package jose

import "github.com/sanad-id/sanad/keys"

// ParseAnyType is Parse for the vectors whose tokens state no type.
func ParseAnyType(token string) (*Message, error) { return parse(token, Expect{}) }

// VerifyBytes is verify, for the vectors that are no tokens.
func VerifyBytes(alg keys.Algorithm, pub keys.PublicKey, message, signature []byte) error {
	return verify(alg, pub, message, signature)
}
