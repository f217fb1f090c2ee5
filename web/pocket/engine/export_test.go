package engine

import (
	"crypto/rand"
	"encoding/json"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/i18n"
)

func init() { iterations = 1000 }

// Listed is what the lists of the trust bundle say about a card.
func (e *Engine) Listed(ref *credential.StatusRef, l i18n.Language) (state, asOf string) {
	return e.listed(ref, l)
}

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
