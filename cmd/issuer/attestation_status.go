package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sanad-id/sanad/api/issuer"
	"github.com/sanad-id/sanad/credential"
	statuslist "github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/fetch"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/chain"
	"github.com/sanad-id/sanad/oid4vci"
)

// attesters are those whose certificates lead to one of some roots.
type attesters struct {
	roots []*x509.Certificate
	fetch *fetch.Client
	now   func() time.Time
}

// statusFetch asks for status lists of attesters. A list is kept for a minute at most: that is
// how much longer a revoked attestation works.
func statusFetch(localHosts []string, now func() time.Time) *fetch.Client {
	return fetch.New(fetch.Config{LocalHosts: localHosts, MaxAge: time.Minute, Entries: 16, Now: now})
}

// trusted finds the key of one of them. A chain that is not good makes nobody trusted.
func (a *attesters) trusted(hint oid4vci.SignerHint) ([]keys.PublicKey, error) {
	return a.keyOf(hint.X5C, keys.Credential), nil
}

func (a *attesters) keyOf(x5c [][]byte, p keys.Purpose) []keys.PublicKey {
	if len(x5c) == 0 {
		return nil
	}
	leaf, err := chain.Verify(slices.Clone(x5c), a.roots, a.now(), chain.Want{Purpose: p})
	if err != nil {
		return nil
	}
	return []keys.PublicKey{leaf.Key}
}

// maxAttestationList is the most bytes of a status list of attesters.
const maxAttestationList = 4 << 20

// status asks the list in which an attestation of theirs has its place; see
// [issuer.AttestationStatus]. The list is signed by one of them, too (Token Status List
// section 8.3; corpus ST-06).
func (a *attesters) status(ctx context.Context, at credential.StatusRef) error {
	answer, err := a.fetch.Do(ctx, fetch.Request{
		Address: at.URI, Types: []string{statuslist.MediaTypeJWT}, MaxBytes: maxAttestationList, Redirects: 3, Elsewhere: true, Keep: true,
		Fresh: func(token []byte) (time.Duration, bool) { return statuslist.FreshJWT(token, a.now()) },
	})
	if err != nil {
		return err
	}
	token := string(answer.Body)
	m, err := jose.Inspect(token, maxAttestationList)
	if err != nil {
		return fmt.Errorf("status list of attesters: %w", err)
	}
	signer := a.keyOf(m.X5C, keys.StatusList)
	if signer == nil {
		return errors.New("the status list of attesters is signed by nobody who is trusted for it")
	}
	t, err := statuslist.VerifyJWT(token, statuslist.Expect{URI: at.URI, Now: a.now(), Keys: signer}, jose.Tokens{})
	if err != nil {
		return fmt.Errorf("status list of attesters: %w", err)
	}
	return t.List.Check(at.Index)
}

var _ issuer.AttestationStatus = (*attesters)(nil).status
