package engine

import (
	"crypto/rand"
	"encoding/json"
)

func init() { iterations = 1000 }

// SealExport is the file of an export with this inside, for a passphrase that costs nothing
// to try.
func SealExport(plain []byte, passphrase string) (string, error) {
	x := export{Format: 1, Derivation: derivation, Iterations: 1, Salt: make([]byte, 16), Nonce: make([]byte, 12)}
	_, _ = rand.Read(x.Nonce) // never fails
	aead, err := x.key(passphrase)
	if err != nil {
		return "", err
	}
	x.Sealed = aead.Seal(nil, x.Nonce, plain, nil)
	b, err := json.Marshal(x)
	return string(b), err
}

// OpenExport is what is inside of the file of an export.
func OpenExport(file, passphrase string) ([]byte, error) {
	var x export
	if err := json.Unmarshal([]byte(file), &x); err != nil {
		return nil, err
	}
	aead, err := x.key(passphrase)
	if err != nil {
		return nil, err
	}
	return aead.Open(nil, x.Nonce, x.Sealed, nil)
}
