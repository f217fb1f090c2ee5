package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/fetch"
	"github.com/sanad-id/sanad/keys/chain"
)

// issuerRoots reads the authorities of the settings.
func issuerRoots(cfg Config) ([]verifier.IssuerRoot, error) {
	var all []verifier.IssuerRoot
	for _, c := range cfg.IssuerRoots {
		b, err := os.ReadFile(c.File)
		if err != nil {
			return nil, cli.Hint(fmt.Errorf("issuer_roots: %w", err), "file names the certificate of the root, in PEM; the authority publishes it")
		}
		certificates, err := chain.ParseRoots(b)
		if err != nil {
			return nil, fmt.Errorf("issuer_roots: %s: %w", c.File, err)
		}
		r := verifier.IssuerRoot{Name: c.Name, Certificates: certificates, Types: c.Types, StatusFresh: c.StatusFresh}
		if r.Name == "" {
			r.Name = certificates[0].Subject.String()
		}
		all = append(all, r)
	}
	return all, nil
}

// A rootView is a certificate of a root as operators are shown it.
type rootView struct {
	Name        string    `json:"name"`
	Fingerprint string    `json:"fingerprint"` // the SHA-256 of the certificate in base64url
	Types       []string  `json:"types"`
	From        time.Time `json:"from"`
	Until       time.Time `json:"until"`
	// Level is that of /status.
	Level verifier.Level `json:"level"`
}

// rootViews are the certificates of all roots, in the order of the settings.
func rootViews(roots []verifier.IssuerRoot, now time.Time) []rootView {
	levels := map[string]verifier.Level{}
	for _, f := range verifier.FreshnessOf(nil, roots, nil, now) {
		levels[f.Subject] = f.Level
	}
	var all []rootView
	for _, r := range roots {
		for _, c := range r.Certificates {
			hash := chain.Hash(c.Raw)
			all = append(all, rootView{r.Name, hash, r.Types, c.NotBefore.UTC(), c.NotAfter.UTC(), levels[hash]})
		}
	}
	return all
}

// String is the view in one line.
func (v rootView) String() string {
	return fmt.Sprintf("issuers under %q are taken for %s until %s, SHA-256 %s", v.Name, strings.Join(v.Types, ", "), v.Until.Format(time.DateOnly), v.Fingerprint)
}

// rootNotes are notes on roots that are not valid now, or not for long: their issuers are not
// known then.
func rootNotes(roots []verifier.IssuerRoot, now time.Time) []string {
	var all []string
	for _, v := range rootViews(roots, now) {
		switch {
		case now.Before(v.From) || v.Level == verifier.LevelOld:
			all = append(all, fmt.Sprintf("issuer_roots: the root %q is valid from %s to %s only", v.Name, v.From.Format(time.DateOnly), v.Until.Format(time.DateOnly)))
		case v.Level != verifier.LevelFresh:
			all = append(all, fmt.Sprintf("issuer_roots: the root %q ends on %s; name the one that follows beside it", v.Name, v.Until.Format(time.DateOnly)))
		}
	}
	return slices.Compact(all)
}

// A listSource asks for status lists through the one way out.
type listSource struct {
	client *fetch.Client
	now    func() time.Time
}

const (
	// listTimeout is how long a wallet waits for the list of somebody else's server.
	listTimeout = 5 * time.Second
	// listAge is how long an answer may be used again at most, whatever its token says: that is
	// how much longer a revoked credential may pass.
	listAge = time.Minute
	// listRedirects is how many redirects are followed (Token Status List section 8.2).
	listRedirects = 3
	// maxListToken is the most bytes of an answer.
	maxListToken = 4 << 20
	// maxListsKept is the most bytes of all answers that are kept.
	maxListsKept = 64 << 20
)

func newListSource(cfg Config, now func() time.Time) listSource {
	return listSource{fetch.New(fetch.Config{
		LocalHosts: cfg.LocalHosts, Timeout: listTimeout, MaxBytes: maxListToken, MaxAge: listAge, Entries: 64, MaxKept: maxListsKept, Now: now,
	}), now}
}

// List implements [verifier.ListSource].
func (l listSource) List(ctx context.Context, address string) ([]byte, error) {
	a, err := l.client.Do(ctx, fetch.Request{
		Address: address, Types: []string{status.MediaTypeJWT}, Redirects: listRedirects, Elsewhere: true, Keep: true,
		Fresh: func(token []byte) (time.Duration, bool) { return status.FreshJWT(token, l.now()) },
	})
	return a.Body, err
}
