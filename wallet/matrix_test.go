package wallet_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/wallet"
)

// faults are those that promise P13 counts for every source of information.
var faults = []string{"missing", "unreachable", "timeout", "stale", "malformed", "wrong signature", "wrong subject", "too large", "wrong type"}

// undecided is the outcome of a fault that says nothing about the credential: an error
// which is no refusal, so that the same may be tried again.
const undecided wallet.Refusal = "undecided"

// TestFailsClosed is promise P13 for what a wallet asks others for. Each source has a
// cell for each fault, or a reason why there is none. Nothing is kept in any of them.
func TestFailsClosed(t *testing.T) {
	for _, s := range []struct {
		source, path string
		signed       bool // what it says is signed, which the fault "wrong signature" needs
		cells        map[string]wallet.Refusal
		none         map[string]string
	}{
		{
			"issuer metadata", "/.well-known/openid-credential-issuer", true, map[string]wallet.Refusal{
				"missing": wallet.BadMessage, "unreachable": undecided, "timeout": undecided, "malformed": wallet.BadMessage, "wrong signature": wallet.MetadataSigner,
				"wrong subject": wallet.OtherIssuer, "too large": wallet.BadMessage, "wrong type": wallet.BadMessage,
			}, map[string]string{"stale": "they have no date, are fetched for each offer, and kept nowhere"},
		},
		{
			"keys of the issuer", "/.well-known/jwt-vc-issuer", false, map[string]wallet.Refusal{
				"missing": wallet.BadMessage, "unreachable": undecided, "timeout": undecided, "malformed": wallet.BadMessage,
				"wrong subject": wallet.BadMessage, "too large": wallet.BadMessage, "wrong type": wallet.BadMessage,
			}, map[string]string{"stale": "they have no date, and are fetched for each credential", "wrong signature": "they are not signed; a key that is not among them is a row of TestAcceptRefuses"},
		},
		{
			"type metadata", "/type/licence", false, map[string]wallet.Refusal{
				"missing": wallet.BadMessage, "unreachable": undecided, "timeout": undecided, "stale": wallet.BadType, "malformed": wallet.BadType, "wrong signature": wallet.BadType,
				"wrong subject": wallet.BadType, "too large": wallet.BadMessage, "wrong type": wallet.BadMessage,
			}, nil,
		},
	} {
		for _, fault := range faults {
			want, cell := s.cells[fault]
			if !cell {
				if s.none[fault] == "" {
					t.Errorf("P13 %s, %s: neither a cell nor a reason", s.source, fault)
				}
				continue
			}
			t.Run("P13 "+s.source+", "+fault, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.sign = s.signed && fault == "wrong signature"
				a, kept := w.agent(func(c *wallet.Config) {
					c.Sender = failing{w, s.path, fault}
					if w.sign {
						c.Roots = newWorldWithRoot(t)
					}
				})
				_, _, err := w.accept(a)
				got := reasonOf(err)
				if err != nil && got == "" {
					got = undecided
				}
				if got != want {
					t.Errorf("accept: %v, want %s", err, want)
				}
				if held, err := kept.Held(); err != nil || len(held) != 0 {
					t.Errorf("kept %d credentials, %v", len(held), err)
				}
			})
		}
	}
}

// failing answers as the world, but for one path with one fault.
type failing struct {
	*world
	path, fault string
}

// Send implements [wallet.Sender].
func (f failing) Send(ctx context.Context, r wallet.Request) (wallet.Answer, error) {
	a, err := f.world.Send(ctx, r)
	if err != nil || !strings.HasSuffix(r.Address, f.path) {
		return a, err
	}
	switch f.fault {
	case "missing":
		a.Status = 404
	case "unreachable":
		return wallet.Answer{}, errors.New("connection refused")
	case "timeout":
		return wallet.Answer{}, context.DeadlineExceeded
	case "malformed":
		a.Body = a.Body[:len(a.Body)/2]
	case "stale", "wrong signature": // of type metadata: not the bytes whose hash the credential states
		if !f.sign {
			a.Body = append(append([]byte{}, a.Body...), '\n')
		}
	case "wrong subject":
		a.Body = []byte(strings.ReplaceAll(string(a.Body), "issuer.example", "evil.example"))
	case "too large":
		a.Body = append(append([]byte{}, a.Body...), strings.Repeat(" ", 8<<20)...)
	case "wrong type":
		a.Type = "text/html"
	}
	return a, nil
}
