package main

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	statuslist "github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/chain"
	"github.com/sanad-id/sanad/keys/keystest"
)

// certifiedLists signs lists with a chain in the header.
type certifiedLists [][]byte

// SignJWS implements [statuslist.JWSSigner].
func (c certifiedLists) SignJWS(rnd io.Reader, s keys.Signer, typ string, payload []byte) ([]byte, error) {
	return jose.Sign(rnd, s, jose.Header{Type: typ, X5C: c}, payload)
}

// TestAttestationLists: what the list of an attester says counts, and nothing else does: a list
// that is missing, somebody else's, of another place or too old decides nothing.
func TestAttestationLists(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	rootKey := keystest.Signer(t, keys.CertificateRoot, keys.ES256, "root of attesters")
	der, err := chain.NewRoot(rand.Reader, rootKey, chain.Name{Organization: "Wallet Authority", Country: "XA"}, now.Add(-time.Hour), now.Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	root, err := chain.ParseRoot(der)
	if err != nil {
		t.Fatal(err)
	}
	signer := keystest.Signer(t, keys.StatusList, keys.ES256, "lists")
	leaf, err := chain.Issue(rand.Reader, root, rootKey, chain.Subject{Name: chain.Name{Organization: "Lists"}, Address: "https://lists.example", Key: signer.Key().Public}, now.Add(-time.Minute), now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	list, err := statuslist.NewList(2, 64)
	if err != nil {
		t.Fatal(err)
	}
	for place, value := range map[uint64]byte{1: statuslist.Invalid, 2: statuslist.Suspended} {
		if err := list.Set(place, value); err != nil {
			t.Fatal(err)
		}
	}
	type good struct {
		media string
		info  statuslist.TokenInfo
		chain certifiedLists
		code  int
	}
	for _, tt := range []struct {
		name   string
		place  uint64
		spoil  func(*good)
		reason credential.Reason // of a decision
		fault  bool              // nothing was decided
	}{
		{name: "holds"},
		{name: "VCI-12 revoked", place: 1, reason: credential.Revoked},
		{name: "VCI-12 suspended", place: 2, reason: credential.Suspended},
		{name: "ST-02 beyond the list", place: 64, reason: credential.StatusOutOfRange},
		{name: "ST-14 an error", spoil: func(g *good) { g.code = 500 }, fault: true},
		{name: "ST-14 an error page", spoil: func(g *good) { g.media = "text/html" }, fault: true},
		{name: "ST-04 another list", spoil: func(g *good) { g.info.URI = "https://lists.example/other" }, fault: true},
		{name: "ST-05 expired", spoil: func(g *good) {
			g.info.IssuedAt, g.info.Expires = now.Add(-2*time.Minute), now.Add(-time.Minute)
		}, fault: true},
		{name: "ST-06 without certificates", spoil: func(g *good) { g.chain = nil }, fault: true},
		{name: "ST-06 the root's own", spoil: func(g *good) { g.chain = certifiedLists{der} }, fault: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := good{media: statuslist.MediaTypeJWT, code: 200, chain: certifiedLists{leaf}, info: statuslist.TokenInfo{IssuedAt: now.Add(-time.Second), Expires: now.Add(time.Hour), TTL: time.Minute, List: list}}
			asked := 0
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked++
				b, err := statuslist.SignJWT(rand.Reader, signer, g.info, g.info.IssuedAt, g.chain)
				if err != nil {
					t.Error(err)
				}
				w.Header().Set("Content-Type", g.media)
				w.Header().Set("Cache-Control", "max-age=60")
				w.WriteHeader(g.code)
				_, _ = w.Write(b)
			}))
			defer s.Close()
			g.info.URI = s.URL + "/list"
			if tt.spoil != nil {
				tt.spoil(&g)
			}
			clock := func() time.Time { return now }
			a := &attesters{[]*x509.Certificate{root}, statusFetch([]string{"127.0.0.1"}, clock), clock}
			at := credential.StatusRef{URI: s.URL + "/list", Index: tt.place}
			for range 2 {
				err := a.status(t.Context(), at)
				refused, decided := errors.AsType[*credential.RejectedError](err)
				if decided != (tt.reason != "") || decided && refused.Reason != tt.reason || (err != nil && !decided) != tt.fault {
					t.Errorf("%v, want reason %q, fault %v", err, tt.reason, tt.fault)
				}
			}
			if kept := g.code == 200 && g.media == statuslist.MediaTypeJWT; kept && asked != 1 {
				t.Errorf("asked %d times within a minute", asked)
			}
			a.fetch = statusFetch(nil, clock)
			if asked = 0; a.status(t.Context(), at) == nil || asked != 0 {
				t.Error("ST-07 a list inside of the network was asked for")
			}
		})
	}
}
