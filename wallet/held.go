package wallet

import (
	"crypto/rand"
	"strings"
	"time"

	"github.com/sanad-id/sanad/credential"
)

// A Held credential is one that an issuer gave, in as many copies as there are keys.
// Copies say the same and cannot be linked by what they are made of, so that each is
// shown to one verifier for as long as there are fresh ones.
type Held struct {
	// ID is the wallet's own name for it.
	ID string `json:"id"`
	// Issuer is the credential issuer identifier, and Configuration the id of the
	// configuration that was asked for.
	Issuer        string `json:"issuer"`
	Configuration string `json:"configuration"`
	// Format is that of every copy, Type the vct.
	Format string `json:"format"`
	Type   string `json:"type"`
	// Names are the names of the type for people by language, IssuerNames those of the
	// issuer if somebody vouches for it, Labels those of claims by path as sdjwt.Path.Text writes it.
	Names       map[string]string            `json:"names,omitempty"`
	IssuerNames map[string]string            `json:"issuer_names,omitempty"`
	Labels      map[string]map[string]string `json:"labels,omitempty"`
	// ClaimNames are the names of the claims of a card by their paths (cwt.Path), which
	// are numbers.
	ClaimNames map[string]string `json:"claim_names,omitempty"`
	Accepted   time.Time         `json:"accepted"`
	// Copies are the credentials; at least one.
	Copies []Copy `json:"copies"`
}

// A Copy is a credential with the key that it is bound to.
type Copy struct {
	// Credential is the credential as the issuer sent it.
	Credential string `json:"credential"`
	// Key is what its keyring knows the key by: with [SoftwareKeys] the private key in
	// PKCS #8.
	Key []byte `json:"key"`
	// Shown counts how often it was presented, or about to be: it is raised first.
	Shown int `json:"shown"`
	// Revoked says that the issuer's list held it for revoked when the wallet last
	// looked. That is for good: it is not shown any more.
	Revoked bool `json:"revoked,omitempty"`
}

// String names the credential without its keys and what it says.
func (h Held) String() string { return "credential " + h.ID }

// GoString is [Held.String].
func (h Held) GoString() string { return h.String() }

// String hides the key and the credential.
func (c Copy) String() string { return "a copy of a credential" }

// GoString is [Copy.String].
func (c Copy) GoString() string { return c.String() }

// Fresh is the place of the copy to show next: of those that are not revoked the one
// that was shown least, the first of several.
func (h *Held) Fresh() int {
	best := 0
	for i, c := range h.Copies {
		if b := h.Copies[best]; b.Revoked && !c.Revoked || b.Revoked == c.Revoked && c.Shown < b.Shown {
			best = i
		}
	}
	return best
}

// usable reports whether a credential is within its dates.
func usable(c *credential.Verified, now time.Time) bool {
	return (c.Expires.IsZero() || now.Before(c.Expires)) && (c.NotBefore.IsZero() || !now.Before(c.NotBefore))
}

// An Entry says what was shared with whom, or what else was done. It never holds a
// value of a claim.
type Entry struct {
	ID string    `json:"id"`
	At time.Time `json:"at"`
	// Deed is what was done.
	Deed Deed `json:"deed"`
	// Credential is the wallet's name for the credential, Type its type.
	Credential string `json:"credential,omitempty"`
	Type       string `json:"type,omitempty"`
	// Party is the issuer or verifier as it was established, Name what it is called on the word
	// of Anchor, who vouches for it.
	Party  string `json:"party,omitempty"`
	Name   string `json:"name,omitempty"`
	Anchor string `json:"anchor,omitempty"`
	// Purpose is why a verifier asked, as it said, and Claims what it got.
	Purpose string   `json:"purpose,omitempty"`
	Claims  []string `json:"claims,omitempty"`
	// Kept is how many days it says to keep them; nil if it did not say.
	Kept *int `json:"kept_days,omitempty"`
}

// A Deed is something that a wallet did.
type Deed string

const (
	Accepted  Deed = "accepted"
	Presented Deed = "presented"
	Refused   Deed = "refused"
	Deleted   Deed = "deleted"
)

// alphabet is that of ids: nothing that a shell or a file name treats specially, and
// no letters that look alike.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// idLength is 8 characters of time and 8 of chance.
const idLength = 16

// newID is a name that sorts by time.
func newID(at time.Time) (string, error) {
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", err
	}
	seconds := uint64(at.Unix())
	id := make([]byte, idLength)
	for i := 7; i >= 0; i-- {
		id[i] = alphabet[seconds&31]
		seconds >>= 5
	}
	for i, b := range random {
		id[8+i] = alphabet[b&31]
	}
	return string(id), nil
}

func validID(id string) bool { return len(id) == idLength && strings.Trim(id, alphabet) == "" }
