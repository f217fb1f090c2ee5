package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/verification"
)

// codes verifies the credentials of codes: the one place that knows which
// formats this program reads.
type codes struct{}

// Verify implements [verification.Format].
func (codes) Verify(message []byte, keys verification.IssuerKeys) (*credential.Verified, error) {
	return cwt.Verify(message, cwt.Expect{Keys: keys})
}

// maxProofAge is how long ago a holder may have signed. It is the answer to one
// request, and the nonce is what keeps it from being used again.
const maxProofAge = 10 * time.Minute

// wallets verifies what wallets show, as the answer to one request or to none.
type wallets struct {
	request request
	oldType bool // typ may be vc+sd-jwt, too
	now     func() time.Time
}

// A request is what the holder was asked to sign for; both are empty if nothing was
// asked.
type request struct{ audience, nonce string }

// Verify implements [verification.Format]. Nobody asked for a proof: then one that
// was made for somebody else is left aside, and the credential counts as a copy that
// anyone may have.
func (w wallets) Verify(message []byte, keys verification.IssuerKeys) (*credential.Verified, error) {
	want := sdjwt.Expect{Keys: keys, Now: w.now(), Binding: sdjwt.BindingRefused, OldType: w.oldType, LeaveDates: true}
	if w.request == (request{}) {
		return sdjwt.Verify(sdjwt.Unbound(string(message)), want)
	}
	want.Binding, want.Audience, want.Nonce, want.MaxAge = sdjwt.BindingRequired, w.request.audience, w.request.nonce, maxProofAge
	return sdjwt.Verify(string(message), want)
}

// A knowledge is what a check rests on, and where to note what it taught.
type knowledge struct {
	config verification.Config
	memory trust.Memory // nil if nothing is to be remembered
	state  trust.State
}

// know gathers it: a pinned key, the bundle of a file, or the imported one.
func (p *program) know(cmd *cobra.Command, o checkOptions) (*knowledge, error) {
	k := &knowledge{config: verification.Config{COSE: codes{}, Now: p.Now}}
	if !o.moment.IsZero() {
		k.config.Now = func() time.Time { return o.moment }
	}
	k.config.SDJWT = wallets{o.request, o.oldType, k.config.Now}
	switch {
	case o.key != "":
		key, err := readKey(cmd, o.key)
		if err != nil {
			return nil, err
		}
		k.config.Pinned = key
	case o.trust != "":
		b, err := readAll(cmd, o.trust, trust.MaxFile)
		if err != nil {
			return nil, err
		}
		if k.config.Trust, err = trust.Open(b); err != nil {
			k.config.TrustProblem = err.Error()
		}
	default:
		return k, p.recall(k, o)
	}
	return k, nil
}

// recall takes the imported bundle. That there is none is for the report to say.
func (p *program) recall(k *knowledge, o checkOptions) error {
	dir, err := p.home()
	if err != nil {
		k.config.TrustProblem = err.Error()
		return nil
	}
	memory := trust.NewDirMemory(dir)
	k.state, err = memory.Load()
	if err == nil && !k.state.Trusted() {
		err = errors.New("no trust bundle was given or imported")
	} else if err == nil && k.state.Damaged {
		err = errors.New("the imported trust bundle was changed or removed; import it again")
	} else if err == nil {
		k.config.Trust, err = k.state.Open()
	}
	if err != nil {
		k.config.TrustProblem = err.Error()
		return nil
	}
	if o.moment.IsZero() {
		k.memory, k.config.NewestSeen = memory, k.state.NewestSeen
	}
	return nil
}

// learn notes the newest date that was verified, against clocks that are set back.
func (k *knowledge) learn(r verification.Report) error {
	if k.memory == nil || !r.Seen.After(k.state.NewestSeen) {
		return nil
	}
	k.state.NewestSeen, k.config.NewestSeen = r.Seen, r.Seen
	if err := k.memory.Save(k.state); err != nil {
		return fmt.Errorf("note the date: %w", err)
	}
	return nil
}

// home is the folder of imported trust.
func (p *program) home() (string, error) {
	if p.dir != "" {
		return p.dir, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", cli.Hint(fmt.Errorf("find your configuration folder: %w", err), "name a folder with --dir")
	}
	return filepath.Join(dir, "sanad-verifier"), nil
}
