//go:build !js

package oid4vci

import (
	"crypto/x509"

	"github.com/sanad-id/sanad/keys"
)

// certificateKey is the key that a certificate names. The chain says nothing about the
// holder and is not looked at.
func certificateKey(der []byte) (keys.PublicKey, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return keys.PublicKey{}, refuse(InvalidProof, ErrKey, "a key proof whose x5c is no certificate")
	}
	key, err := keys.PublicKeyOf(cert.PublicKey)
	if err != nil {
		return keys.PublicKey{}, refuse(InvalidProof, ErrKey, "a key proof whose certificate has a key of another kind")
	}
	return key, nil
}
