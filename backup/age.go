package backup

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

// A Lock is who can open a backup, a Key what opens one.
type (
	Lock = age.Recipient
	Key  = age.Identity
)

// maxKeys is how large a file of recipients or identities may be.
const maxKeys = 1 << 20

// ParseLocks reads a file of age recipients, a line each. Several can each open the
// backup alone.
func ParseLocks(r io.Reader) ([]Lock, error) {
	text, err := readAll(r)
	if err != nil {
		return nil, err
	}
	locks, err := age.ParseRecipients(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("backup: recipients: %v", err)
	}
	return locks, nil
}

// ParseKeys reads a file of age identities, a line each.
func ParseKeys(r io.Reader) ([]Key, error) {
	text, err := readAll(r)
	if err != nil {
		return nil, err
	}
	found, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil {
		return nil, errors.New("backup: not a file of age identities") // what it said may quote a secret
	}
	return found, nil
}

func readAll(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxKeys+1))
	if err == nil && len(text) > maxKeys {
		err = fmt.Errorf("backup: a file of keys over %d bytes", maxKeys)
	}
	return text, err
}

// PassphraseLock makes a backup that a passphrase opens. It takes about a second
// to try one.
func PassphraseLock(passphrase []byte) (Lock, error) {
	lock, err := age.NewScryptRecipient(string(passphrase))
	if err != nil {
		return nil, fmt.Errorf("backup: %v", err)
	}
	return lock, nil
}

// PassphraseKey opens a backup with a passphrase.
func PassphraseKey(passphrase []byte) (Key, error) {
	key, err := age.NewScryptIdentity(string(passphrase))
	if err != nil {
		return nil, fmt.Errorf("backup: %v", err)
	}
	return key, nil
}
