package wallet_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/oid4vp"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/wallet"
)

// listed has the issuer put its credentials on a status list: copy i at the place i.
func (w *world) listed() {
	w.t.Helper()
	var err error
	if w.list, err = status.NewList(2, 1<<10); err != nil {
		w.t.Fatal(err)
	}
	token := w.token
	w.token = func(copy int, holder keys.PublicKey) sdjwt.Token {
		t := token(copy, holder)
		t.Status = &credential.StatusRef{URI: issuerURL + "/status/1", Index: uint64(copy)}
		return t
	}
}

// set changes what the list says of a copy.
func (w *world) set(place int, value byte) {
	w.t.Helper()
	if err := w.list.Set(uint64(place), value); err != nil {
		w.t.Fatal(err)
	}
}

// present answers a request with the least that does.
func (w *world) present(a *wallet.Agent) error {
	w.t.Helper()
	q, err := a.Inquire(w.t.Context(), w.requestLink())
	if err != nil {
		return err
	}
	choices, err := q.Least()
	if err != nil {
		return err
	}
	_, err = a.Present(w.t.Context(), q, choices)
	return err
}

// TestWhyItWasRefused: a verifier that refuses does not say why. The wallet looks whether
// the issuer does.
func TestWhyItWasRefused(t *testing.T) {
	for _, tt := range []struct {
		name  string
		value byte
		away  bool
		want  wallet.Refusal
		then  wallet.Refusal // the next time, before anything is sent
	}{
		{"revoked", status.Invalid, false, wallet.Revoked, wallet.Revoked},
		{"suspended", status.Suspended, false, wallet.Suspended, wallet.Suspended},
		{"good", status.Valid, false, wallet.PeerRefused, wallet.PeerRefused},
		{"revoked, and nobody says so", status.Invalid, true, wallet.PeerRefused, wallet.PeerRefused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.listed()
			a, kept := w.holding()
			for i := range 3 {
				w.set(i, tt.value)
			}
			w.spoil["/response/7"] = func(answer *wallet.Answer) { answer.Status, answer.Body = 400, nil }
			if tt.away {
				w.spoil["/status/1"] = func(answer *wallet.Answer) { answer.Status = 503 }
			}
			before := len(w.seen)
			if err := w.present(a); reasonOf(err) != tt.want {
				t.Errorf("Present: %v, want %s", err, tt.want)
			}
			for _, r := range w.seen[before : len(w.seen)-1] {
				if r.Address == issuerURL+"/status/1" && w.response == nil {
					t.Error("the issuer was asked before the verifier had refused")
				}
			}
			held, err := kept.Held()
			if err != nil || held[0].Copies[0].Revoked != (tt.want == wallet.Revoked) {
				t.Errorf("kept as %+v, %v", held[0].Copies[0].Revoked, err)
			}
			before = len(w.seen)
			if err := w.present(a); reasonOf(err) != tt.then {
				t.Errorf("the next time: %v, want %s", err, tt.then)
			}
			for _, r := range w.seen[before:] {
				if tt.then == wallet.Revoked && r.Address == reply {
					t.Error("a credential that is known to be revoked was sent")
				}
			}
		})
	}
}

// TestAnotherMechanism: of one that stands beside the list the wallet does not know what it
// says; the list alone ends a credential and does not clear it (corpus ST-08).
func TestAnotherMechanism(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.listed()
	token := w.token
	w.token = func(copy int, holder keys.PublicKey) sdjwt.Token {
		t := token(copy, holder)
		t.Claims = maps.Clone(t.Claims)
		t.Claims["credentialStatus"] = map[string]any{"type": "BitstringStatusListEntry"}
		return t
	}
	a, kept := w.holding()
	for value, want := range map[byte]credential.Reason{
		status.Valid: credential.StatusUnsupported, status.Suspended: credential.Suspended, status.Invalid: credential.Revoked,
	} {
		for i := range 3 {
			w.set(i, value)
		}
		held, err := kept.Held()
		if err != nil {
			t.Fatal(err)
		}
		held[0].Copies[0].Revoked = false
		r, ok := errors.AsType[*credential.RejectedError](a.Status(t.Context(), held[0]))
		if !ok || r.Reason != want {
			t.Errorf("%d: %v, want %s", value, r, want)
		}
	}
}

// TestRevokedCopy: the others of one credential are still shown.
func TestRevokedCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.listed()
	a, kept := w.holding()
	w.set(0, status.Invalid)
	held, err := kept.Held()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Status(t.Context(), held[0]); err != nil {
		t.Errorf("Status: %v: the next copy is good", err)
	}
	if held, err = kept.Held(); err != nil || !held[0].Copies[0].Revoked || held[0].Copies[1].Revoked || held[0].Fresh() != 1 {
		t.Errorf("held %+v, %v", held[0].Fresh(), err)
	}
	if err := w.present(a); err != nil {
		t.Error(err)
	}
	w.set(1, status.Invalid)
	w.set(2, status.Invalid)
	r, ok := errors.AsType[*credential.RejectedError](a.Status(t.Context(), held[0]))
	if !ok || r.Reason != credential.Revoked {
		t.Errorf("Status: %v, want revoked", r)
	}
	if err := w.present(a); reasonOf(err) != wallet.Revoked {
		t.Errorf("Present: %v, want revoked", err)
	}
}

// TestManyLists (ST-16): however many lists an issuer names, each is asked for once, and no
// more of them than there are copies.
func TestManyLists(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]func(copy int) string{
		"one list, away": func(int) string { return issuerURL + "/status/1" }, "a list for each copy": func(copy int) string { return fmt.Sprint(issuerURL, "/status/", 2+copy) },
	} {
		w := newWorld(t)
		w.listed()
		token := w.token
		lists := map[string]bool{}
		w.token = func(copy int, holder keys.PublicKey) sdjwt.Token {
			t := token(copy, holder)
			t.Status.URI = address(copy)
			lists[t.Status.URI] = true
			return t
		}
		w.spoil["/status/1"] = func(answer *wallet.Answer) { answer.Status = 503 }
		a, kept := w.holding()
		held, err := kept.Held()
		if err != nil {
			t.Fatal(err)
		}
		before := len(w.seen)
		if err := a.Status(t.Context(), held[0]); err == nil {
			t.Errorf("%s: it stands, by lists that were not to be had", name)
		}
		asked := map[string]int{}
		for _, r := range w.seen[before:] {
			asked[r.Address]++
		}
		for list := range lists {
			if asked[list] != 1 {
				t.Errorf("%s: %s was asked for %d times", name, list, asked[list])
			}
		}
		if len(w.seen)-before > len(held[0].Copies) {
			t.Errorf("%s: %d requests for %d copies", name, len(w.seen)-before, len(held[0].Copies))
		}
	}
}

// TestPresentExpired says that it is the date, and sends nothing.
func TestPresentExpired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, _ := w.holding()
	w.now = w.now.AddDate(1, 0, 0)
	w.request.IssuedAt, w.request.Expires = w.now, w.now.Add(5*time.Minute)
	signer := keystest.Signer(t, keys.Request, keys.ES256, "library")
	w.signature = oid4vp.Signature{Signer: signer, X5C: [][]byte{w.certificateAt(signer, "City library", "https://"+library, w.now)}}
	w.request.Client.ID = oid4vp.NewX509Hash(w.signature.X5C[0])
	if err := w.present(a); reasonOf(err) != wallet.Expired {
		t.Errorf("Present: %v, want expired", err)
	}
}

// bundle is a trust bundle that names one verifier, with what change adds.
func (w *world) bundle(v trust.Verifier, change ...func(*trust.Content)) *trust.Bundle {
	w.t.Helper()
	sign, root := keystest.Signer(w.t, keys.TrustBundle, keys.ES256, "bundle"), keystest.Signer(w.t, keys.TrustRoot, keys.ES256, "trust root")
	roots, err := trust.SignRoot(rand.Reader, nil, trust.Root{
		Version: 1, Issued: now.AddDate(0, -2, 0), Expires: now.AddDate(8, 0, 0), Keys: []keys.PublicKey{root.Key().Public}, Threshold: 1,
		BundleKeys: []keys.PublicKey{sign.Key().Public}, BundleThreshold: 1,
	}, []keys.Signer{root}, now.AddDate(0, -2, 0))
	if err != nil {
		w.t.Fatal(err)
	}
	asOf := now.Add(-time.Hour)
	c := trust.Content{
		Roots: roots, Version: 1, AsOf: asOf, RefreshBy: now.AddDate(0, 0, 10), OldAfter: now.AddDate(0, 0, 60), Jurisdiction: "XA",
		Verifiers: []trust.Verifier{v}, Algorithms: es256,
	}
	for _, f := range change {
		f(&c)
	}
	file, err := c.Sign(rand.Reader, []keys.Signer{sign}, asOf)
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := trust.Open(file)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// TestOverAsking: a verifier that the trust bundle names gets no more than it is registered
// for, whatever the person would agree to.
func TestOverAsking(t *testing.T) {
	all := []string{"name", "class", "village"}
	for _, tt := range []struct {
		name string
		id   func(*world) string
		asks []trust.Asked
		path sdjwt.Path // in place of the third claim
		want wallet.Refusal
	}{
		{"what it is registered for", nil, []trust.Asked{{Type: typeURL, Claims: all}}, nil, ""},
		{"a claim more", nil, []trust.Asked{{Type: typeURL, Claims: all[:2]}}, nil, wallet.OverAsking},
		{"another type", nil, []trust.Asked{{Type: "urn:other", Claims: all}}, nil, wallet.OverAsking},
		{"registered without limits", nil, nil, nil, ""},
		{"registered by the name in its certificate", func(*world) string { return "x509_san_dns:" + library }, []trust.Asked{{Type: typeURL, Claims: all[:2]}}, nil, wallet.OverAsking},
		{"another one is registered", func(*world) string { return "x509_san_dns:other.example" }, []trust.Asked{{Type: typeURL, Claims: all[:2]}}, nil, ""},
		{"a part of what it may ask for", nil, []trust.Asked{{Type: typeURL, Claims: all}}, sdjwt.Path{"village", "street"}, ""},
		{"another type, and no claim of it", nil, []trust.Asked{{Type: "urn:other", Claims: all}}, sdjwt.Path{}, wallet.OverAsking},
		{"a name with a dot is no part", nil, []trust.Asked{{Type: typeURL, Claims: all}}, sdjwt.Path{"village.street"}, wallet.OverAsking},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if c := &w.request.Query.Credentials[0]; len(tt.path) > 0 {
				c.Claims[2].Path = tt.path
			} else if tt.path != nil {
				c.Claims, c.ClaimSets = nil, nil
			}
			id := w.request.Client.ID.String()
			if tt.id != nil {
				id = tt.id(w)
			}
			b := w.bundle(trust.Verifier{ID: id, Names: map[string]string{"en": "Library"}, Asks: tt.asks})
			a, _ := w.agent(func(c *wallet.Config) { c.Trust = b })
			if _, _, err := w.accept(a); err != nil {
				t.Fatal(err)
			}
			before := len(w.seen)
			q, err := a.Inquire(t.Context(), w.requestLink())
			if reasonOf(err) != tt.want || tt.want == "" && err != nil {
				t.Fatalf("Inquire: %v, want %q", err, tt.want)
			}
			if len(w.seen) != before+1 {
				t.Errorf("%d requests, want that of the request only", len(w.seen)-before)
			}
			if tt.want == "" && (q.Verifier.Vouched == wallet.ByBundle) != (tt.name != "another one is registered") {
				t.Errorf("known by %s", q.Verifier.Vouched)
			}
		})
	}
}
