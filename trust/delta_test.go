package trust_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/trust"
)

// TestDeltaIsTheBundle changes a bundle at random, as publishers may, and follows
// by deltas alone. Each leads to the very bytes that were signed.
func TestDeltaIsTheBundle(t *testing.T) {
	c := newCountry(t)
	spare := newSigners(t, keys.Credential, 6)
	rapid.Check(t, func(rt *rapid.T) {
		content := c.content(t)
		content.Status = append(content.Status, packed(t, "https://status.example/lists/2", days(-1)))
		before := c.sign(t, content)
		st := trusted(t, before)
		revoked := map[string][]uint64{listURI: {7}}
		for range rapid.IntRange(1, 3).Draw(rt, "steps") {
			b := open(t, before)
			n := b.Next(b.AsOf.AddDate(0, 0, 1))
			for i, s := range n.Status {
				if len(revoked[s.URI]) == 0 && s.URI != "https://status.example/lists/2" {
					revoked[s.URI] = []uint64{5} // a list that change added
				}
				for range rapid.IntRange(0, 5).Draw(rt, "revocations") {
					revoked[s.URI] = append(revoked[s.URI], rapid.Uint64Range(0, 4095).Draw(rt, "slot"))
				}
				n.Status[i] = packed(t, s.URI, n.AsOf, revoked[s.URI]...)
			}
			change(t, rt, &n, spare)
			after := c.sign(t, n)
			d, err := trust.MakeDelta(before, after)
			if err != nil {
				rt.Fatal(err)
			}
			next, got, err := trust.Accept(st, d, nil)
			if err != nil {
				rt.Fatal(err)
			}
			want := open(t, after)
			if got.Hash() != want.Hash() || !bytes.Equal(inflated(t, next.Bundle), inflated(t, after)) {
				rt.Fatal("the delta leads to other bytes than were signed")
			}
			st, before = next, after
		}
	})
}

// change does something to the content that a publisher may do.
func change(t *testing.T, rt *rapid.T, n *trust.Content, spare []keys.Signer) {
	t.Helper()
	what := rapid.SliceOfNDistinct(rapid.IntRange(0, 9), 0, 5, rapid.ID[int]).Draw(rt, "what")
	for _, w := range what {
		switch w {
		case 0: // a new issuer in front
			i := len(n.Issuers)
			if i-2 < len(spare) {
				k := trust.NewIssuerKey(spare[i-2].Key(), []string{birthType}, nil)
				n.Issuers = append([]trust.Issuer{{ID: ids(i), Names: map[string]string{"en": "Office"}, Keys: []trust.IssuerKey{k}}}, n.Issuers...)
			}
		case 1: // an issuer goes
			if len(n.Issuers) > 2 {
				n.Issuers = n.Issuers[1:]
			}
		case 2: // a key retires
			n.Issuers[len(n.Issuers)-1].Keys[0].State = keys.Retired
		case 3: // a new type
			id := fmt.Sprintf("urn:xx:type:%d", len(n.Types))
			n.Types = append(n.Types, credential.Type{ID: id, Labels: map[string]string{"en": "Something"}})
		case 4: // other words for a type
			n.Types[0].Labels = map[string]string{"en": "Birth certificate", "fr": fmt.Sprintf("Acte %d", n.Version)}
		case 5: // no messages any more
			n.Messages = nil
		case 6: // another message
			n.Messages = []trust.Message{{ID: fmt.Sprintf("m-%d", n.Version), Text: map[string]string{"en": "News."}}}
		case 7: // verifiers change places
			n.Verifiers = append(n.Verifiers, trust.Verifier{ID: fmt.Sprintf("v-%d", n.Version), Names: map[string]string{"en": "V"}})
			slices.Reverse(n.Verifiers)
		case 8: // a new list in front
			n.Status = append([]status.Snapshot{packed(t, fmt.Sprintf("https://status.example/new/%d", n.Version), n.AsOf, 5)}, n.Status...)
		case 9: // no lists at all
			n.Status = nil
		}
	}
}

func inflated(t testing.TB, file []byte) []byte {
	t.Helper()
	raw, err := trust.Inflate(file)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestDeltaAcrossRoots goes over a change of all keys, and over several versions
// at once.
func TestDeltaAcrossRoots(t *testing.T) {
	c := newCountry(t)
	first := c.sign(t, c.content(t))
	second := c.daily(t, first, 8)
	b := open(t, second)
	c.rotate(t, days(2))
	n := b.Next(days(2))
	n.Roots = c.chain
	third := c.sign(t, n)
	for _, from := range [][]byte{first, second} {
		d, err := trust.MakeDelta(from, third)
		if err != nil {
			t.Fatal(err)
		}
		st, got, err := trust.Accept(trusted(t, from), d, nil)
		if err != nil || got.Version != 3 || st.RootVersion != 2 {
			t.Errorf("from version %d: %v", open(t, from).Version, err)
		}
		// The same delta again changes nothing.
		if again, _, err := trust.Accept(st, d, nil); err != nil || again.HighWater != 3 {
			t.Errorf("again: %v", err)
		}
	}
}

// TestDeltaRefuses spoils one thing at a time in a good delta. Nothing in it is
// signed but the bundle that it leads to.
func TestDeltaRefuses(t *testing.T) {
	c := newCountry(t)
	first := c.sign(t, c.content(t))
	second := c.daily(t, first, 8)
	d, err := trust.MakeDelta(first, second)
	if err != nil {
		t.Fatal(err)
	}
	spoil := func(edit func(m map[uint64]any)) []byte {
		m := map[uint64]any{}
		if err := cbor.Bundle.Unmarshal(inflated(t, d), &m); err != nil {
			t.Fatal(err)
		}
		edit(m)
		raw, err := cbor.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return deflated(t, raw)
	}
	edits := func(m map[uint64]any) map[any]any { return m[6].(map[any]any) }
	statusOp := func(m map[uint64]any) map[any]any {
		return edits(m)[int64(11)].(map[any]any)[int64(2)].([]any)[0].(map[any]any)
	}
	// listChange revokes entry 99 in a list in which only this one was revoked.
	listChange := func(at time.Time, was uint64) []byte {
		d, err := status.Diff(packed(t, listURI, at, was), packed(t, listURI, at, was, 99))
		if err != nil {
			t.Fatal(err)
		}
		b, err := d.MarshalCBOR()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	tests := []struct {
		name string
		file []byte
		want error
	}{
		{"another base hash", spoil(func(m map[uint64]any) { m[2] = flip(m[2].([]byte), 0) }), trust.ErrGap},
		{"another base version", spoil(func(m map[uint64]any) { m[1] = 3 }), trust.ErrGap},
		{"another result hash", spoil(func(m map[uint64]any) { m[4] = flip(m[4].([]byte), 0) }), trust.ErrMalformed},
		{"a hash cut short", spoil(func(m map[uint64]any) { m[4] = []byte{1} }), trust.ErrMalformed},
		{"another kind", spoil(func(m map[uint64]any) { m[0] = "sanad-trust-bundle" }), trust.ErrMalformed},
		{"no signatures", spoil(func(m map[uint64]any) { delete(m, 5) }), trust.ErrMalformed},
		{"the signatures of the bundle before", spoil(func(m map[uint64]any) {
			m[5] = message(t, inflated(t, first), func(p []any) { p[2] = []byte{} })
		}), trust.ErrQuorum},
		{"one short of the quorum", spoil(func(m map[uint64]any) {
			m[5] = message(t, m[5].([]byte), func(p []any) { p[3] = p[3].([]any)[:1] })
		}), trust.ErrQuorum},
		{"a message of three parts", spoil(func(m map[uint64]any) { m[5] = []byte{0xd8, 0x62, 0x83, 0x40, 0xa0, 0x40} }), trust.ErrMalformed},
		{"a signature in place of a message", spoil(func(m map[uint64]any) { m[5] = []byte{0x40} }), trust.ErrMalformed},
		{"an edit left out", spoil(func(m map[uint64]any) { delete(edits(m), int64(11)) }), trust.ErrMalformed},
		{"an edit more", spoil(func(m map[uint64]any) { edits(m)[int64(8)] = map[int]any{1: []byte{0x61, 'Y'}} }), trust.ErrMalformed},
		{"an edit that is no CBOR", spoil(func(m map[uint64]any) { edits(m)[int64(8)] = map[int]any{1: []byte{0xff}} }), trust.ErrMalformed},
		{"keeps what is not there", spoil(func(m map[uint64]any) {
			edits(m)[int64(9)] = map[int]any{2: []any{map[int]any{1: 5, 2: 1}}}
		}), trust.ErrMalformed},
		{"keeps more than there is", spoil(func(m map[uint64]any) {
			edits(m)[int64(9)] = map[int]any{2: []any{map[int]any{1: 1, 2: uint64(1) << 62}}}
		}), trust.ErrMalformed},
		{"keeps of what is no array", spoil(func(m map[uint64]any) {
			edits(m)[int64(8)] = map[int]any{2: []any{map[int]any{2: 1}}}
		}), trust.ErrMalformed},
		{"OFF-09 keeps a thing very often", spoil(func(m map[uint64]any) {
			edits(m)[int64(2)] = map[int]any{2: slices.Repeat([]any{map[int]any{2: 1}}, 20_000)}
		}), trust.ErrTooLarge},
		{"a list changed in another way", spoil(func(m map[uint64]any) { statusOp(m)[int64(4)] = listChange(days(0), 7) }), trust.ErrMalformed},
		{"a list changed from another", spoil(func(m map[uint64]any) { statusOp(m)[int64(4)] = listChange(days(0), 6) }), status.ErrOtherBase},
		{"P07 a list changed backwards", spoil(func(m map[uint64]any) { statusOp(m)[int64(4)] = listChange(days(-9), 7) }), status.ErrBackwards},
		{"a list change that is noise", spoil(func(m map[uint64]any) { statusOp(m)[int64(4)] = []byte{1} }), trust.ErrMalformed},
		{"bytes after it", deflated(t, append(inflated(t, d), 0)), trust.ErrMalformed},
		{"an empty map", deflated(t, []byte{0xa0}), trust.ErrMalformed},
	}
	st := trusted(t, first)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, b, err := trust.Accept(st, tt.file, nil); !errors.Is(err, tt.want) {
				t.Errorf("Accept: %v, %v, want %v", b, err, tt.want)
			}
		})
	}
	if _, _, err := trust.Accept(st, spoil(func(map[uint64]any) {}), nil); err != nil {
		t.Errorf("the delta that was spoiled was not good: %v", err)
	}
}

func TestMakeDeltaRefuses(t *testing.T) {
	c := newCountry(t)
	first := c.sign(t, c.content(t))
	second := c.daily(t, first, 8)
	b := open(t, second)
	back := b.Next(b.AsOf)
	back.Status[0] = packed(t, listURI, back.AsOf, 7)
	elsewhere := newCountry(t)
	for name, tt := range map[string]struct {
		older, newer []byte
		want         error
	}{
		"backwards":                      {second, first, trust.ErrRollback},
		"to itself":                      {first, first, trust.ErrMixed},
		"another root":                   {first, elsewhere.sign(t, elsewhere.content(t)), trust.ErrOtherRoot},
		"from noise":                     {[]byte("noise"), first, trust.ErrMalformed},
		"to noise":                       {first, []byte("noise"), trust.ErrMalformed},
		"ST-10 revoked entry comes back": {second, c.sign(t, back), status.ErrUnrevoke},
	} {
		if _, err := trust.MakeDelta(tt.older, tt.newer); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

// TestDeltaSize is a day of a country with 50 lists of a million: a hundred new
// revocations in each.
func TestDeltaSize(t *testing.T) {
	if testing.Short() {
		t.Skip("fifty lists")
	}
	c := newCountry(t)
	content := c.content(t)
	content.Status = nil
	r := rand.New(rand.NewPCG(1, 2))
	lists := make([]*status.List, 50)
	snapshots := func(n *trust.Content) {
		n.Status = nil
		for i, l := range lists {
			s, err := status.NewSnapshot(fmt.Sprintf("https://status.example/lists/%d", i), l, n.AsOf)
			if err != nil {
				t.Fatal(err)
			}
			n.Status = append(n.Status, s)
		}
	}
	for i := range lists {
		l, err := status.NewList(1, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for range 10_486 {
			_ = l.Set(r.Uint64N(1<<20), status.Invalid)
		}
		lists[i] = l
	}
	snapshots(&content)
	first := c.sign(t, content)
	for _, l := range lists {
		for range 100 {
			_ = l.Set(r.Uint64N(1<<20), status.Invalid)
		}
	}
	n := open(t, first).Next(now)
	snapshots(&n)
	second := c.sign(t, n)
	d, err := trust.MakeDelta(first, second)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("52 million credentials: bundle %d bytes, delta of 5 000 revocations %d bytes", len(first), len(d))
	if len(d) > 20_000 {
		t.Errorf("delta of %d bytes, want at most 20 000", len(d))
	}
	if _, _, err := trust.Accept(trusted(t, first), d, nil); err != nil {
		t.Error(err)
	}
}
