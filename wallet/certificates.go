//go:build !js

package wallet

import (
	"crypto/x509"

	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/chain"
)

// A Root is a certificate under which others are known.
type Root = *x509.Certificate

// certified is what a chain of certificates says that leads to one of the roots.
type certified struct {
	key keys.PublicKey
	// name is that of the certificate's owner, anchor that of the root.
	name, anchor string
}

// certify checks a chain for a purpose of an issuer.
func (a *Agent) certify(x5c [][]byte, purpose keys.Purpose, issuer string) (*certified, error) {
	leaf, err := chain.Verify(x5c, a.cfg.Roots, a.now(), chain.Want{Purpose: purpose, URI: issuer})
	if err != nil {
		return nil, err
	}
	return &certified{key: leaf.Key, name: leaf.Certificate.Subject.CommonName, anchor: leaf.Anchor.Subject.CommonName}, nil
}
