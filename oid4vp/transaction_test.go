package oid4vp_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/oid4vp"
)

func loan(t testing.TB, ids []string, book string) oid4vp.TransactionData {
	t.Helper()
	d, err := oid4vp.NewTransactionData("urn:loan", ids, map[string]any{"book": book})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestTransactionData: it is read as it was written, and signed as it travels.
func TestTransactionData(t *testing.T) {
	d := loan(t, []string{"card"}, "17")
	again, err := oid4vp.ParseTransactionData(d.Encoded())
	if err != nil || !reflect.DeepEqual(d, again) || again.Fields["book"] != "17" || len(again.Fields) != 1 || again.Type != "urn:loan" {
		t.Errorf("%+v, %v, want %+v", again, err, d)
	}
	// {"type":"t","credential_ids":["a"]}: without a hash algorithm none is named.
	old, err := oid4vp.ParseTransactionData("eyJ0eXBlIjoidCIsImNyZWRlbnRpYWxfaWRzIjpbImEiXX0")
	if err != nil {
		t.Fatal(err)
	}
	claims := oid4vp.TransactionClaims([]oid4vp.TransactionData{old})
	// printf eyJ0...XX0 | sha256sum, in base64url
	if want := (map[string]any{"transaction_data_hashes": []any{"9mPQfEgbxGvQGLuKFFoD2pitlCL2X0wRFKGyTzIVfhk"}}); !reflect.DeepEqual(claims, want) {
		t.Errorf("claims %v, want %v", claims, want)
	}
	if claims := oid4vp.TransactionClaims([]oid4vp.TransactionData{d}); claims["transaction_data_hashes_alg"] != "sha-256" {
		t.Errorf("claims %v", claims)
	}
	if claims := oid4vp.TransactionClaims(nil); claims != nil {
		t.Errorf("claims of nothing: %v", claims)
	}
	for name, fields := range map[string]map[string]any{"a field of the standard": {"type": "x"}, "a value that JSON has not": {"x": make(chan int)}} {
		if d, err := oid4vp.NewTransactionData("urn:loan", []string{"card"}, fields); err == nil {
			t.Errorf("%s: %v", name, d)
		}
	}
	if d, err := oid4vp.NewTransactionData("urn:loan", nil, nil); err == nil {
		t.Errorf("for no credential: %v", d)
	}
}

// TestAuthorise: each transaction by one of the chosen credentials, and no more.
func TestAuthorise(t *testing.T) {
	r := &oid4vp.Request{TransactionData: []oid4vp.TransactionData{loan(t, []string{"b", "a"}, "1"), loan(t, []string{"b"}, "2")}}
	got, err := r.Authorise([]oid4vp.Choice{{Query: "c"}, {Query: "a"}, {Query: "b"}, {Query: "b"}})
	if err != nil || len(got) != 2 || len(got[1]) != 1 || len(got[2]) != 1 || got[2][0].Fields["book"] != "2" {
		t.Errorf("Authorise: %v, %v", got, err)
	}
	if got, err := r.Authorise([]oid4vp.Choice{{Query: "a"}}); !errors.Is(err, oid4vp.ErrTransactionData) {
		t.Errorf("nobody for the second: %v, %v", got, err)
	}
}

// TestAuthorisedRefuses is VP-12 at the verifier.
func TestAuthorisedRefuses(t *testing.T) {
	s := newScene(t)
	one, two, foreign := loan(t, []string{"card"}, "1"), loan(t, []string{"card", "other"}, "2"), loan(t, []string{"card"}, "3")
	s.request.TransactionData = []oid4vp.TransactionData{one, two}
	proof := func(change func(p *sdjwt.Proof), data ...oid4vp.TransactionData) string {
		text, err := sdjwt.Present(s.issued)
		if err != nil {
			t.Fatal(err)
		}
		p := s.request.Proof(now, data)
		if change != nil {
			change(&p)
		}
		if text, err = sdjwt.Bind(rand.Reader, text, p, s.holder); err != nil {
			t.Fatal(err)
		}
		return text
	}
	set := func(name string, v any) func(*sdjwt.Proof) {
		return func(p *sdjwt.Proof) {
			if v == nil {
				delete(p.Claims, name)
			} else {
				p.Claims[name] = v
			}
		}
	}
	const hashes, alg = "transaction_data_hashes", "transaction_data_hashes_alg"
	decoded, err := base64.RawURLEncoding.DecodeString(one.Encoded())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(decoded)
	over := base64.RawURLEncoding.EncodeToString(sum[:])
	unbound, err := sdjwt.Present(s.issued)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		token oid4vp.VPToken
		ok    bool
	}{
		"both by one":                    {oid4vp.VPToken{"card": {proof(nil, one, two)}}, true},
		"in another order":               {oid4vp.VPToken{"card": {proof(nil, two, one)}}, true},
		"one each":                       {oid4vp.VPToken{"card": {proof(nil, one)}, "other": {proof(nil, two)}}, true},
		"one each of several":            {oid4vp.VPToken{"card": {proof(nil), proof(nil, one), proof(nil, two)}}, true},
		"one is missing":                 {oid4vp.VPToken{"card": {proof(nil, one)}}, false},
		"none":                           {oid4vp.VPToken{"card": {proof(nil)}}, false},
		"no proof at all":                {oid4vp.VPToken{"card": {unbound}}, false},
		"no presentation":                {oid4vp.VPToken{}, false},
		"other data":                     {oid4vp.VPToken{"card": {proof(nil, one, foreign)}}, false},
		"more than was asked for":        {oid4vp.VPToken{"card": {proof(nil, one, two, foreign)}}, false},
		"by a credential that may not":   {oid4vp.VPToken{"card": {proof(nil, two)}, "other": {proof(nil, one)}}, false},
		"by two credentials":             {oid4vp.VPToken{"card": {proof(nil, one, two)}, "other": {proof(nil, two)}}, false},
		"twice by one":                   {oid4vp.VPToken{"card": {proof(nil, one, two, two)}}, false},
		"no algorithm":                   {oid4vp.VPToken{"card": {proof(set(alg, nil), one, two)}}, false},
		"another algorithm":              {oid4vp.VPToken{"card": {proof(set(alg, "sha-512"), one, two)}}, false},
		"a hash that is no text":         {oid4vp.VPToken{"card": {proof(set(hashes, []any{1}), one, two)}}, false},
		"hashes that are no list":        {oid4vp.VPToken{"card": {proof(set(hashes, "x"), one, two)}}, false},
		"hashes over what it decodes to": {oid4vp.VPToken{"card": {proof(set(hashes, []any{over}), one), proof(nil, two)}}, false},
		"a proof that is no token":       {oid4vp.VPToken{"card": {unbound + "x.y"}}, false},
	} {
		if err := s.request.Authorised(tt.token); (err == nil) != tt.ok || err != nil && !errors.Is(err, oid4vp.ErrTransactionData) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.request.TransactionData = nil
	if err := s.request.Authorised(oid4vp.VPToken{"card": {proof(nil)}}); err != nil {
		t.Errorf("nothing to authorise: %v", err)
	}
	if err := s.request.Authorised(oid4vp.VPToken{"card": {proof(nil, one)}}); err == nil {
		t.Error("a transaction that nobody asked for")
	}
}

// TestProof: the audience is the whole client identifier.
func TestProof(t *testing.T) {
	s := newScene(t)
	p := s.request.Proof(now.Add(1), nil)
	if p.Audience != "x509_hash:"+s.request.Client.ID.Name || p.Nonce != s.request.Nonce || !p.IssuedAt.Equal(now) {
		t.Errorf("proof %+v", p)
	}
	if !slices.Contains(oid4vp.AllEncryptions(), "A256GCM") {
		t.Error("HAIP section 5 wants both encryptions")
	}
}
