package engine

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"strings"

	"github.com/sanad-id/sanad/wallet"
)

// An export is what leaves the page: cards and log of one profile, encrypted for a
// passphrase. Keys cannot leave the browser, so that what is imported elsewhere can be
// read and shown as a copy, and no more.
type export struct {
	Format     int    `json:"sanad_pocket_export"`
	Derivation string `json:"kdf"`
	Iterations int    `json:"iterations"`
	Salt       []byte `json:"salt"`
	Nonce      []byte `json:"nonce"`
	Sealed     []byte `json:"sealed"`
}

// exported is what is inside.
type exported struct {
	Held []wallet.Held  `json:"held"`
	Log  []wallet.Entry `json:"log"`
}

// iterations makes a guess cost what OWASP advises for this function (2023). Tests lower
// it.
var iterations = 600_000

const (
	derivation    = "PBKDF2-HMAC-SHA256"
	maxIterations = 10_000_000
	maxExport     = 16 << 20
	// minPassphrase is the fewest bytes of a passphrase.
	minPassphrase = 8
)

// Export is the text of a file with cards and log of the profile in use.
func (e *Engine) Export(passphrase string) (string, error) {
	if len(passphrase) < minPassphrase {
		return "", errPassphrase
	}
	k := keeper{e.cfg.Memory, e.profile}
	var in exported
	var err error
	if in.Held, err = k.Held(); err != nil {
		return "", err
	}
	for i := range in.Held {
		for j := range in.Held[i].Copies {
			in.Held[i].Copies[j].Key = nil // a name that only this browser knows
		}
	}
	if in.Log, err = list[wallet.Entry](e.cfg.Memory, logKind, e.profile); err != nil {
		return "", err
	}
	plain, err := json.Marshal(in)
	if err != nil {
		return "", err
	}
	x := export{Format: 1, Derivation: derivation, Iterations: iterations, Salt: make([]byte, 16), Nonce: make([]byte, 12)}
	_, _ = rand.Read(x.Salt) // never fails
	_, _ = rand.Read(x.Nonce)
	aead, err := x.key(passphrase)
	if err != nil {
		return "", err
	}
	x.Sealed = aead.Seal(nil, x.Nonce, plain, nil)
	b, err := json.Marshal(x)
	return string(b), err
}

// key is the key that the passphrase leads to.
func (x export) key(passphrase string) (cipher.AEAD, error) {
	key, err := pbkdf2.Key(sha256.New, passphrase, x.Salt, x.Iterations, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// Imported is what became of an export.
type Imported struct {
	Cards int `json:"cards"`
}

// Import adds the cards and the log of an export to the profile in use. What is here
// already stays as it is, and whose it is.
func (e *Engine) Import(file, passphrase string) (*Imported, error) {
	var x export
	if len(file) > maxExport || json.Unmarshal([]byte(file), &x) != nil || x.Format != 1 || x.Derivation != derivation ||
		x.Iterations < 1 || x.Iterations > maxIterations || len(x.Salt) != 16 || len(x.Nonce) != 12 {
		return nil, errNoExport
	}
	aead, err := x.key(passphrase)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, x.Nonce, x.Sealed, nil)
	if err != nil {
		return nil, errPassphrase
	}
	var in exported
	if json.Unmarshal(plain, &in) != nil {
		return nil, errNoExport
	}
	k := keeper{e.cfg.Memory, e.profile}
	here, err := e.cfg.Memory.All(heldKind)
	if err != nil {
		return nil, err
	}
	out := &Imported{}
	for _, h := range in.Held {
		if here[h.ID] != nil || h.ID == "" || !h.Card() || len(h.Copies) == 0 {
			continue
		}
		for j := range h.Copies {
			h.Copies[j].Key = nil
		}
		if err := k.Put(h); err != nil {
			return out, err
		}
		out.Cards++
	}
	noted, err := e.cfg.Memory.All(logKind)
	if err != nil {
		return out, err
	}
	for _, entry := range in.Log {
		if strings.TrimSpace(entry.ID) == "" || noted[entry.ID] != nil { // perhaps of another profile
			continue
		}
		if err := put(e.cfg.Memory, logKind, entry.ID, e.profile, entry); err != nil {
			return out, err
		}
	}
	return out, nil
}
