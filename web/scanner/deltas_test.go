package scanner

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"net/http/httptest"
	"strconv"
	"testing"
	"testing/fstest"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/webpage"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/trust"
)

// days are the bundles of some days, each with more that is revoked.
func days(t *testing.T, n int) [][]byte {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	start := time.Date(2026, 11, 12, 6, 0, 0, 0, time.UTC)
	signer := func(p keys.Purpose) keys.Signer {
		secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		check(err)
		pub, err := keys.NewPublicKey(keys.ES256, secret.Public())
		check(err)
		from := start.AddDate(-1, 0, 0)
		s, err := keys.NewSigner(keys.Key{Public: pub, Purpose: p, State: keys.Active, Created: from, Published: from, SignFrom: from, SignUntil: from.AddDate(9, 0, 0)}, secret)
		check(err)
		return s
	}
	root, key, issuer := signer(keys.TrustRoot), signer(keys.TrustBundle), signer(keys.Credential)
	chain, err := trust.SignRoot(rand.Reader, nil, trust.Root{
		Version: 1, Issued: start, Expires: start.AddDate(9, 0, 0), Keys: []keys.PublicKey{root.Key().Public}, Threshold: 1,
		BundleKeys: []keys.PublicKey{key.Key().Public}, BundleThreshold: 1,
	}, []keys.Signer{root}, start)
	check(err)
	list, err := status.NewList(1, 1<<14)
	check(err)
	content := trust.Content{
		Roots: chain, Version: 1, AsOf: start, RefreshBy: start.AddDate(0, 0, 10), OldAfter: start.AddDate(0, 0, 60), Jurisdiction: "XX",
		Issuers:    []trust.Issuer{{ID: "xx", Names: map[string]string{"en": "Ministry"}, Keys: []trust.IssuerKey{trust.NewIssuerKey(issuer.Key(), []string{"urn:xx:card:1"}, nil)}}},
		Types:      []credential.Type{{ID: "urn:xx:card:1", Labels: map[string]string{"en": "Card"}, FreshFor: time.Hour, OldAfter: 2 * time.Hour}},
		Algorithms: []keys.Algorithm{keys.ES256},
	}
	var all [][]byte
	for i := range n {
		for slot := range 40 {
			check(list.Set(uint64(i*400+slot*7), status.Invalid))
		}
		snapshot, err := status.NewSnapshot("https://status.xx/1", list, content.AsOf)
		check(err)
		content.Status = []status.Snapshot{snapshot}
		file, err := content.Sign(rand.Reader, []keys.Signer{key}, content.AsOf)
		check(err)
		all = append(all, file)
		b, err := trust.Open(file)
		check(err)
		content = b.Next(b.AsOf.AddDate(0, 0, 1))
	}
	return all
}

// TestDeltas: a page that says what it has gets what changed, and reaches the very bundle;
// whatever else it says, it gets the whole.
func TestDeltas(t *testing.T) {
	all := days(t, keepBundles+3)
	now := all[0]
	page, err := webpage.Open(fstest.MapFS{"sw.js": {}})
	if err != nil {
		t.Fatal(err)
	}
	m := &maker{bundle: func() []byte { return now }, deltas: new(deltas)}
	serve := page.Handler(policy, m.file)
	get := func(query string) []byte {
		t.Helper()
		r := httptest.NewRequest("GET", "/scanner/bundle.trust"+query, nil)
		r.SetPathValue("file", "bundle.trust")
		w := httptest.NewRecorder()
		if err := serve(w, r); err != nil || w.Code != 200 || w.Header().Get("ETag") == "" {
			t.Fatalf("%s: %v, %d", query, err, w.Code)
		}
		return w.Body.Bytes()
	}
	st, _, err := trust.Accept(trust.State{}, get(""), func(*trust.Bundle) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	first := st
	for i := 1; i <= 3; i++ {
		now = all[i]
		delta := get("?from=" + strconv.Itoa(i))
		if bytes.Equal(delta, now) || len(delta) >= len(now) {
			t.Fatalf("from version %d: %d bytes, the whole has %d", i, len(delta), len(now))
		}
		if st, _, err = trust.Accept(st, delta, nil); err != nil || st.HighWater != uint64(i+1) {
			t.Fatalf("from version %d: %v", i, err)
		}
		if _, b, err := trust.Accept(first, get("?from=1"), nil); err != nil || b.Version != uint64(i+1) {
			t.Errorf("from version 1 to %d: %v", i+1, err)
		}
	}
	for _, query := range []string{"", "?from=4", "?from=99", "?from=-1", "?from=x", "?from="} {
		if !bytes.Equal(get(query), now) {
			t.Errorf("%q does not get the whole", query)
		}
	}
	// What is for another version is refused, and the page asks for the whole.
	if _, _, err := trust.Accept(first, get("?from=3"), nil); !errors.Is(err, trust.ErrGap) {
		t.Errorf("a delta for another: %v", err)
	}
	for _, now = range all {
		get("")
	}
	if len(m.deltas.seen) != keepBundles || !bytes.Equal(get("?from=1"), now) {
		t.Errorf("%d bundles are kept", len(m.deltas.seen))
	}
}
