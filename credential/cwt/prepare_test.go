package cwt_test

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/keys"
)

// The claims set is put together from parts. It says what the general encoder would,
// byte for byte.
func TestPrepared(t *testing.T) {
	key := newSigner(t, keys.ES256).Key().Public
	holder := newSigner(t, keys.ES256).Key().Public
	changes := map[string]func(*cwt.Token){
		"as it is":    func(*cwt.Token) {},
		"no status":   func(t *cwt.Token) { t.Status = nil },
		"no end":      func(t *cwt.Token) { t.Expires = time.Time{} },
		"a beginning": func(t *cwt.Token) { t.NotBefore = issuedAt.Add(-time.Hour) },
		"no person":   func(t *cwt.Token) { t.Person = nil },
		"no fields":   func(t *cwt.Token) { t.Fields = nil },
		"a holder":    func(t *cwt.Token) { t.Holder = &holder },
		"small date":  func(t *cwt.Token) { t.IssuedAt = time.Unix(24, 0) },
	}
	for _, index := range []uint64{0, 23, 24, 255, 256, 65535, 65536, 1<<32 - 1, 1 << 32, math.MaxInt64} {
		changes["index "+time.Duration(index).String()] = func(t *cwt.Token) { t.Status = &credential.StatusRef{URI: "https://s.example/1", Index: index} }
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			token := birthCertificate()
			change(&token)
			early := token
			early.IssuedAt, early.Status = token.IssuedAt.Add(time.Minute), nil
			p, err := cwt.Prepare(early, key)
			if err != nil {
				t.Fatal(err)
			}
			d, err := p.Draft(token.IssuedAt, token.Status)
			if err != nil {
				t.Fatal(err)
			}
			claims := map[int64]any{1: token.Issuer, 6: token.IssuedAt.Unix(), -65537: token.Type}
			if !token.Expires.IsZero() {
				claims[4] = token.Expires.Unix()
			}
			if !token.NotBefore.IsZero() {
				claims[5] = token.NotBefore.Unix()
			}
			if token.Holder != nil {
				claims[8] = map[int64]any{1: cbor.RawMessage(token.Holder.COSEKey())}
			}
			if token.Person != nil {
				claims[169] = token.Person
			}
			if token.Fields != nil {
				claims[-65538] = token.Fields
			}
			if token.Status != nil {
				claims[65535] = map[string]any{"status_list": map[string]any{"idx": token.Status.Index, "uri": token.Status.URI}}
			}
			want, err := cbor.Marshal(claims)
			if err != nil {
				t.Fatal(err)
			}
			// The payload is the last part of what is signed (RFC 9052 section 4.4).
			if got := d.ToBeSigned(); !bytes.HasSuffix(got, want) {
				t.Errorf("%x\ndoes not end with\n%x", got, want)
			}
			direct, err := cwt.NewDraft(token, key)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(direct.ToBeSigned(), d.ToBeSigned()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What is known last is checked last.
func TestPreparedRefuses(t *testing.T) {
	key := newSigner(t, keys.ES256).Key().Public
	token := farmerCard()
	p, err := cwt.Prepare(token, key)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		at     time.Time
		status *credential.StatusRef
	}{
		"no date":           {time.Time{}, token.Status},
		"after its end":     {token.Expires.Add(time.Second), token.Status},
		"a half second":     {token.IssuedAt.Add(time.Second / 2), token.Status},
		"no list":           {token.IssuedAt, &credential.StatusRef{}},
		"a list that turns": {token.IssuedAt, &credential.StatusRef{URI: "https://s.example/\u202e"}},
		"a list too long":   {token.IssuedAt, &credential.StatusRef{URI: "https://s.example/" + string(bytes.Repeat([]byte("x"), cwt.MaxSize))}},
		"an index beyond":   {token.IssuedAt, &credential.StatusRef{URI: "https://s.example/1", Index: math.MaxInt64 + 1}},
	} {
		if _, err := p.Draft(c.at, c.status); !errors.Is(err, cwt.ErrNotIssuable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := p.Draft(token.IssuedAt, token.Status); err != nil {
		t.Error(err)
	}
}
