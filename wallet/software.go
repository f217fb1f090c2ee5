//go:build !js

package wallet

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/sanad-id/sanad/keys"
)

// SoftwareKeys are private keys that are kept with what is bound to them.
type SoftwareKeys struct{}

// New implements [Keyring].
func (SoftwareKeys) New() ([]byte, keys.Signer, error) { return NewKey() }

// Signer implements [Keyring].
func (SoftwareKeys) Signer(key []byte) (keys.Signer, error) { return holderSigner(key) }

// defaultKeys are the keys of an Agent that was given none.
func defaultKeys() Keyring { return SoftwareKeys{} }

// Signer returns the signer of the copy's key, one of [SoftwareKeys].
func (c *Copy) Signer() (keys.Signer, error) { return holderSigner(c.Key) }

// NewKey makes a key for a copy and returns it in PKCS #8, with its signer.
func NewKey() ([]byte, keys.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	s, err := holderSigner(der)
	return der, s, err
}

func holderSigner(der []byte) (keys.Signer, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: a key cannot be read", ErrCorrupt)
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%w: a key of another kind", ErrCorrupt)
	}
	public, err := keys.NewPublicKey(keys.ES256, &private.PublicKey)
	if err != nil {
		return nil, errors.Join(ErrCorrupt, err)
	}
	return HolderSigner(public, private)
}
