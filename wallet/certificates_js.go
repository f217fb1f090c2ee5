package wallet

import (
	"errors"

	"github.com/sanad-id/sanad/keys"
)

// A Root is what a browser has none of: there the trust bundle says who is known, and
// X.509 would make the page a fifth larger.
type Root struct{}

type certified struct {
	key          keys.PublicKey
	name, anchor string
}

func (a *Agent) certify([][]byte, keys.Purpose, string) (*certified, error) {
	return nil, errors.New("wallet: certificates are not read in a browser")
}

// defaultKeys: a browser's keys are the browser's own.
func defaultKeys() Keyring { return nil }
