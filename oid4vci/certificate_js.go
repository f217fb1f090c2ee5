package oid4vci

import "github.com/sanad-id/sanad/keys"

// certificateKey refuses: proofs are checked by issuers, and no browser is one.
func certificateKey([]byte) (keys.PublicKey, error) {
	return keys.PublicKey{}, refuse(InvalidProof, ErrKey, "certificates are not read in a browser")
}
