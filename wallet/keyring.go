package wallet

import (
	"crypto"
	"time"

	"github.com/sanad-id/sanad/keys"
)

// A Keyring makes the keys of a holder and signs with them.
type Keyring interface {
	// New makes a key and returns what it is known by, which is kept with whatever is
	// bound to the key, and its signer. The key is kept when New returns.
	New() (handle []byte, s keys.Signer, err error)
	// Signer returns the signer of a key that New made, also in another life of the
	// program.
	Signer(handle []byte) (keys.Signer, error)
}

// HolderKey is a key of a holder as [keys.Signer] wants it. It has no life cycle: it
// works as long as its credential does.
func HolderKey(public keys.PublicKey) keys.Key {
	always := time.Unix(0, 0).UTC()
	return keys.Key{
		Public: public, Purpose: keys.Holder, State: keys.Active, Created: always, Published: always, SignFrom: always,
		SignUntil: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC),
	}
}

// HolderSigner joins a key of a holder with what signs for it.
func HolderSigner(public keys.PublicKey, s crypto.Signer) (keys.Signer, error) {
	return keys.NewSigner(HolderKey(public), s)
}

// A Keeper keeps what a holder has. A change is kept when its call returns. [Wallet] is
// one on disk.
type Keeper interface {
	// Held are the credentials, oldest first.
	Held() ([]Held, error)
	// Put keeps a credential, in place of one with its id.
	Put(h Held) error
	// Pending are those that were asked for and have not come. An error may come with
	// those that could be read.
	Pending() ([]Pending, error)
	// PutPending keeps one that was asked for, in place of one with its id, and
	// DeletePending forgets it, whether or not it is there.
	PutPending(p Pending) error
	DeletePending(id string) error
	// Note adds to the log.
	Note(e Entry) error
}
