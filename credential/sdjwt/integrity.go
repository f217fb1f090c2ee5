package sdjwt

import (
	"crypto"
	"encoding/base64"
	"strings"
)

// integrityHashes are those of W3C Subresource Integrity section 3.2, weakest
// first.
var integrityHashes = []struct {
	name string
	hash crypto.Hash
}{{"sha256", crypto.SHA256}, {"sha384", crypto.SHA384}, {"sha512", crypto.SHA512}}

// Integrity returns the hash of a document as vct#integrity and its relatives state
// it (SD-JWT VC, document integrity).
func Integrity(document []byte) string {
	h := crypto.SHA256.New()
	h.Write(document)
	return "sha256-" + base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// HasIntegrity reports whether a document, byte for byte as it was received, has
// the hash that an #integrity claim states. Of several the strongest counts; a claim
// without one that we know is false for every document.
func HasIntegrity(document []byte, claim string) bool {
	for i := len(integrityHashes) - 1; i >= 0; i-- {
		known, matches := false, false
		for _, word := range strings.Fields(claim) {
			name, rest, ok := strings.Cut(word, "-")
			if !ok || name != integrityHashes[i].name {
				continue
			}
			known = true
			value, _, _ := strings.Cut(rest, "?") // options mean nothing here
			h := integrityHashes[i].hash.New()
			h.Write(document)
			matches = matches || value == base64.StdEncoding.EncodeToString(h.Sum(nil))
		}
		if known {
			return matches
		}
	}
	return false
}

// isIntegrity reports whether s states one hash that we know.
func isIntegrity(s string) bool {
	name, value, _ := strings.Cut(s, "-")
	for _, k := range integrityHashes {
		b, err := base64.StdEncoding.Strict().DecodeString(value)
		if k.name == name && err == nil && len(b) == k.hash.Size() {
			return true
		}
	}
	return false
}
