package trust_test

import (
	"bytes"
	"compress/zlib"
	"crypto"
	"crypto/rand"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/trust"
)

// A brokenSigner reports success and signs something else.
type brokenSigner struct{ keys.Signer }

func (b brokenSigner) Sign(rnd io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return b.Signer.Sign(rnd, flip(digest, 0), opts)
}

// message takes the COSE_Sign of a file apart, lets edit change its four parts,
// and puts it together again.
func message(t testing.TB, raw []byte, edit func(parts []any)) []byte {
	t.Helper()
	var tag cbor.RawTag
	if err := cbor.Bundle.Unmarshal(raw, &tag); err != nil {
		t.Fatal(err)
	}
	var parts []any
	if err := cbor.Bundle.Unmarshal(tag.Content, &parts); err != nil {
		t.Fatal(err)
	}
	edit(parts)
	out, err := cbor.Marshal(cbor.Tag{Number: tag.Number, Content: parts})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// reseal does the same to a file.
func reseal(t testing.TB, file []byte, edit func(parts []any)) []byte {
	t.Helper()
	raw, err := trust.Inflate(file)
	if err != nil {
		t.Fatal(err)
	}
	if file, err = trust.Deflate(message(t, raw, edit)); err != nil {
		t.Fatal(err)
	}
	return file
}

func deflated(t testing.TB, raw []byte) []byte {
	t.Helper()
	file, err := trust.Deflate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// forgeRoot replaces the chain's last root by one that these keys sign.
func forgeRoot(t testing.TB, chain [][]byte, r trust.Root, signers ...keys.Signer) [][]byte {
	t.Helper()
	payload, err := r.Payload()
	if err != nil {
		t.Fatal(err)
	}
	signed, err := trust.SignPayload(trust.ContentTypeRoot, payload, signers...)
	if err != nil {
		t.Fatal(err)
	}
	return append(slices.Clone(chain), signed)
}

// TestOpenRefuses spoils one thing at a time in a file that is good otherwise.
// Whoever spoils it may hold anything but the quorum's keys, unless the row says
// so.
func TestOpenRefuses(t *testing.T) {
	c := newCountry(t)
	content := c.content(t)
	good := c.sign(t, content)
	raw, err := trust.Inflate(good)
	if err != nil {
		t.Fatal(err)
	}
	thief := newSigners(t, keys.TrustBundle, 2)
	signatures := func(parts []any) []any { return parts[3].([]any) }
	// signature is one of another key over the same payload.
	signature := func(s ...keys.Signer) []any {
		payload, err := content.Payload()
		if err != nil {
			t.Fatal(err)
		}
		file, err := trust.SignPayload(trust.ContentTypeBundle, payload, s...)
		if err != nil {
			t.Fatal(err)
		}
		var sigs []any
		reseal(t, file, func(parts []any) { sigs = signatures(parts) })
		return sigs
	}
	// bySomeKeys is the good payload with these signatures.
	bySomeKeys := func(sigs ...any) []byte {
		return reseal(t, good, func(parts []any) { parts[3] = sigs })
	}
	// bad is a signature of this key with one bit turned.
	bad := func(s keys.Signer) any {
		sig := signature(s)[0].([]any)
		sig[2] = flip(sig[2].([]byte), 9)
		return sig
	}
	// payload signs any payload with the good keys.
	payload := func(values map[uint64]any) []byte {
		b, err := cbor.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		file, err := trust.SignPayload(trust.ContentTypeBundle, b, c.bundleKeys[:2]...)
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	// with is the good content with one value of the payload changed, signed by the
	// good keys.
	with := func(key uint64, value any) []byte {
		b, err := content.Payload()
		if err != nil {
			t.Fatal(err)
		}
		values := map[uint64]any{}
		if err := cbor.Bundle.Unmarshal(b, &values); err != nil {
			t.Fatal(err)
		}
		values[key] = value
		if value == nil {
			delete(values, key)
		}
		return payload(values)
	}
	forged := func(spoil func(*trust.Content)) []byte {
		other := c.content(t)
		spoil(&other)
		return c.forge(t, other)
	}
	// rooted is the good content under another chain of roots.
	rooted := func(chain [][]byte) []byte { return forged(func(o *trust.Content) { o.Roots = chain }) }
	second := c.root
	second.Version, second.Issued = 2, now.Add(-25*time.Hour)
	own := second
	newKeys := newSigners(t, keys.TrustRoot, 3)
	own.Keys = publicKeys(newKeys)
	root := func(edit func(*trust.Root)) trust.Root {
		r := c.root
		edit(&r)
		return r
	}

	tests := []struct {
		name string
		file []byte
		want error
	}{
		{"nothing at all", nil, trust.ErrMalformed},
		{"OFF-07 half of a download", good[:len(good)/2], trust.ErrMalformed},
		{"OFF-07 all but the last byte", good[:len(good)-1], trust.ErrMalformed},
		{"OFF-07 a download that goes on", append(slices.Clone(good), 0), trust.ErrMalformed},
		{"OFF-07 two downloads in one file", append(slices.Clone(good), good...), trust.ErrMalformed},
		{"not compressed", raw, trust.ErrMalformed},
		{"an error page", []byte("<!doctype html>"), trust.ErrMalformed},
		{"OFF-09 a file of more than 4 MiB", make([]byte, 4<<20+1), trust.ErrTooLarge},
		{"OFF-09 a bomb", bomb(t), trust.ErrTooLarge},
		{"OFF-09 very many roots", with(2, slices.Repeat([]any{[]byte{0}}, 65)), trust.ErrTooLarge},
		{"OFF-09 very many issuers", with(9, slices.Repeat([]any{map[uint64]any{}}, 10_001)), trust.ErrTooLarge},
		{"OFF-09 very many types", with(10, slices.Repeat([]any{map[uint64]any{}}, 10_001)), trust.ErrTooLarge},
		{"OFF-09 very many lists", with(11, slices.Repeat([]any{map[uint64]any{}}, 10_001)), trust.ErrTooLarge},
		{"OFF-09 very many messages", with(12, slices.Repeat([]any{map[uint64]any{1: "x"}}, 101)), trust.ErrTooLarge},
		{"OFF-09 more elements than a bundle may have", with(15, slices.Repeat([]any{1}, 131_073)), trust.ErrTooLarge},
		{"bytes after the message", deflated(t, append(slices.Clone(raw), 0)), trust.ErrMalformed},
		{"another tag", deflated(t, append([]byte{0xd2}, raw[2:]...)), trust.ErrMalformed},
		{"no payload", reseal(t, good, func(p []any) { p[2] = nil }), trust.ErrMalformed},
		{"no signatures", bySomeKeys(), trust.ErrMalformed},

		{"one bit of the payload turned", reseal(t, good, func(p []any) { p[2] = flip(p[2].([]byte), len(p[2].([]byte))-1) }), trust.ErrQuorum},
		{"one short of the quorum", bySomeKeys(signature(c.bundleKeys[0])...), trust.ErrQuorum},
		{"one good and one bad signature", bySomeKeys(append(signature(c.bundleKeys[0]), bad(c.bundleKeys[1]))...), trust.ErrQuorum},
		{"a bad signature besides enough good ones", bySomeKeys(append(signature(c.bundleKeys[:2]...), bad(c.bundleKeys[2]))...), trust.ErrQuorum},
		{"JWS-09 one key signs twice", bySomeKeys(append(signature(c.bundleKeys[0]), signature(c.bundleKeys[0])...)...), trust.ErrQuorum},
		{"one key signs with a kid of another", bySomeKeys(append(signature(c.bundleKeys[0]), kidOf(signature(c.bundleKeys[0])[0], c.bundleKeys[1]))...), trust.ErrQuorum},
		{"signed by keys the root does not name", bySomeKeys(signature(thief...)...), trust.ErrQuorum},
		{"one of ours and one of theirs", bySomeKeys(append(signature(c.bundleKeys[0]), signature(thief...)...)...), trust.ErrQuorum},
		{"signed by the root keys", bySomeKeys(signature(c.rootKeys...)...), trust.ErrQuorum},
		{"signed as something else", func() []byte {
			b, _ := content.Payload()
			f, _ := trust.SignPayload("application/cbor", b, c.bundleKeys[:2]...)
			return f
		}(), trust.ErrMalformed},
		{"a root in place of a bundle", deflated(t, c.chain[0]), trust.ErrMalformed},

		{"no roots", with(2, []any{}), trust.ErrRootChain},
		{"P18 a root signed as a bundle", rooted([][]byte{func() []byte {
			payload, err := c.root.Payload()
			if err != nil {
				t.Fatal(err)
			}
			file, err := trust.SignPayload(trust.ContentTypeBundle, payload, c.rootKeys[:2]...)
			if err != nil {
				t.Fatal(err)
			}
			if file, err = trust.Inflate(file); err != nil {
				t.Fatal(err)
			}
			return file
		}()}), trust.ErrMalformed},
		{"the first root missing", rooted(forgeRoot(t, nil, second, c.rootKeys[:2]...)), trust.ErrRootChain},
		{"a gap in the roots", rooted(forgeRoot(t, c.chain, root(func(r *trust.Root) { r.Version = 3 }), c.rootKeys[:2]...)), trust.ErrRootChain},
		{"the same root twice", rooted(append(slices.Clone(c.chain), c.chain[0])), trust.ErrRootChain},
		{"first root one short of its quorum", rooted(forgeRoot(t, nil, c.root, c.rootKeys[0])), trust.ErrQuorum},
		{"first root signed by strangers", rooted(forgeRoot(t, nil, c.root, thief...)), trust.ErrQuorum},
		{"next root signed by the new quorum only", rooted(forgeRoot(t, c.chain, own, newKeys...)), trust.ErrQuorum},
		{"next root signed by the old quorum only", rooted(forgeRoot(t, c.chain, own, c.rootKeys...)), trust.ErrQuorum},
		{"next root one short of the old quorum", rooted(forgeRoot(t, c.chain, own, append(slices.Clone(newKeys), c.rootKeys[0])...)), trust.ErrQuorum},
		{"next root older than the first", rooted(forgeRoot(t, c.chain, root(func(r *trust.Root) { r.Version, r.Issued = 2, days(-11) }), c.rootKeys...)), trust.ErrRootChain},
		{"bundle older than its root", rooted(forgeRoot(t, nil, root(func(r *trust.Root) { r.Issued = now }), c.rootKeys...)), trust.ErrRootExpired},
		{"OFF-04 root expired when the bundle was made", rooted(forgeRoot(t, nil, root(func(r *trust.Root) { r.Expires = days(-1) }), c.rootKeys...)), trust.ErrRootExpired},
		{"root that is over before it begins", rooted(forgeRoot(t, nil, root(func(r *trust.Root) { r.Expires = r.Issued }), c.rootKeys...)), trust.ErrMalformed},
		{"root of none out of three", rooted(forgeRoot(t, nil, root(func(r *trust.Root) { r.Threshold = 0 }), c.rootKeys...)), trust.ErrMalformed},
		{"root of four out of three", rooted(forgeRoot(t, nil, root(func(r *trust.Root) { r.Threshold = 4 }), c.rootKeys...)), trust.ErrMalformed},
		{"bundle signed by none out of three", rooted(forgeRoot(t, nil, root(func(r *trust.Root) { r.BundleThreshold = -1 }), c.rootKeys...)), trust.ErrMalformed},
		{"root with a key twice", rooted(forgeRoot(t, nil, root(func(r *trust.Root) { r.Keys = append(r.Keys[:2:2], r.Keys[1]) }), c.rootKeys...)), trust.ErrMalformed},
		{"root key that signs bundles as well", rooted(forgeRoot(t, nil, root(func(r *trust.Root) { r.BundleKeys = r.Keys }), c.rootKeys...)), trust.ErrMalformed},
		{"OFF-09 roots with very many signatures", rooted(longChain(t)), trust.ErrTooLarge},
		{"OFF-09 root with very many keys", rooted(forgeRoot(t, nil, root(func(r *trust.Root) { r.BundleKeys = publicKeys(newSigners(t, keys.TrustBundle, 17)) }), c.rootKeys...)), trust.ErrTooLarge},
		{"a bundle in place of a root", rooted([][]byte{raw}), trust.ErrMalformed},
		{"no root but noise", rooted([][]byte{[]byte("root")}), trust.ErrMalformed},

		{"another kind of payload", with(0, "sanad-trust-root"), trust.ErrMalformed},
		{"a format of the future", with(1, 2), trust.ErrFormat},
		{"no version", with(3, nil), trust.ErrMalformed},
		{"hash of the bundle before cut short", with(7, []byte{1, 2}), trust.ErrMalformed},
		{"dates out of order", forged(func(o *trust.Content) { o.OldAfter = days(1) }), trust.ErrMalformed},
		{"issuers in words", with(9, "xx-registry"), trust.ErrMalformed},
		{"an issuer twice", forged(func(o *trust.Content) { o.Issuers[1].ID = o.Issuers[0].ID }), trust.ErrMalformed},
		{"a key under another id than its own", forged(func(o *trust.Content) { o.Issuers[0].Keys[0].KeyID[0] ^= 1 }), trust.ErrMalformed},
		{"a key of two issuers", forged(func(o *trust.Content) {
			k := o.Issuers[1].Keys[0]
			k.Types = []string{birthType}
			o.Issuers[0].Keys = append(o.Issuers[0].Keys, k)
		}), trust.ErrMalformed},
		{"a key in an unknown state", forged(func(o *trust.Content) { o.Issuers[0].Keys[0].State = "lost" }), trust.ErrMalformed},
		{"compromised without a date", forged(func(o *trust.Content) { o.Issuers[0].Keys[0].State = keys.Compromised }), trust.ErrMalformed},
		{"a key for an algorithm not allowed", forged(func(o *trust.Content) { o.Algorithms = []keys.Algorithm{keys.ES384} }), trust.ErrMalformed},
		{"a type twice", forged(func(o *trust.Content) { o.Types = append(o.Types, o.Types[0]) }), trust.ErrMalformed},
		{"a list twice", forged(func(o *trust.Content) { o.Status = append(o.Status, packed(t, listURI, days(-1))) }), trust.ErrMalformed},
		{"a list of four bits", forged(func(o *trust.Content) { o.Status[0].Bits = 4 }), trust.ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if b, err := trust.Open(tt.file); !errors.Is(err, tt.want) {
				t.Errorf("Open: %v, %v, want %v", b, err, tt.want)
			}
		})
	}
	if _, err := trust.Open(good); err != nil {
		t.Errorf("the file that was spoiled was not good: %v", err)
	}
	// Signatures of keys that have no say are passed over.
	if _, err := trust.Open(bySomeKeys(append(signature(thief...), signature(c.bundleKeys[:2]...)...)...)); err != nil {
		t.Errorf("enough good signatures among others: %v", err)
	}
}

// kidOf gives a signature the kid of another key.
func kidOf(sig any, s keys.Signer) any {
	header, err := cbor.Marshal(map[int64]any{1: -7, 4: s.Key().ID().Bytes()})
	if err != nil {
		panic(err)
	}
	return []any{header, map[any]any{}, sig.([]any)[2]}
}

// bomb is a file of a few kilobytes that inflates to twice what is allowed.
func bomb(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	_, err := w.Write(make([]byte, 2*trust.MaxInflated))
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// longChain is a chain of roots that is good but for its number of signatures.
func longChain(t testing.TB) [][]byte {
	t.Helper()
	signers := newSigners(t, keys.TrustRoot, trust.MaxQuorum)
	r := trust.Root{
		Issued: days(-10), Expires: now.AddDate(10, 0, 0), Keys: publicKeys(signers), Threshold: len(signers),
		BundleKeys: publicKeys(newSigners(t, keys.TrustBundle, 1)), BundleThreshold: 1,
	}
	var chain [][]byte
	for range 30 {
		r.Version++
		chain = forgeRoot(t, chain, r, signers...)
	}
	return chain
}

func TestSignRootRefuses(t *testing.T) {
	c := newCountry(t)
	newKeys := newSigners(t, keys.TrustRoot, 3)
	good := trust.Root{
		Version: 2, Issued: now, Expires: now.AddDate(10, 0, 0), Keys: publicKeys(newKeys), Threshold: 2,
		BundleKeys: publicKeys(c.bundleKeys), BundleThreshold: 2,
	}
	quorum := slices.Concat(c.rootKeys[:2], newKeys[:2])
	tests := []struct {
		name    string
		spoil   func(*trust.Root)
		signers []keys.Signer
		want    error
	}{
		{"one short of the old quorum", func(*trust.Root) {}, quorum[1:], trust.ErrQuorum},
		{"one short of the new quorum", func(*trust.Root) {}, quorum[:3], trust.ErrQuorum},
		{"nobody", func(*trust.Root) {}, nil, nil},
		{"a stranger besides", func(*trust.Root) {}, append(slices.Clone(quorum), newSigner(t, keys.TrustRoot)), trust.ErrQuorum},
		{"P18 bundle keys", func(r *trust.Root) { r.Keys, r.BundleKeys = r.BundleKeys, r.Keys }, c.bundleKeys, keys.ErrPurpose},
		{"version not the next", func(r *trust.Root) { r.Version = 3 }, quorum, trust.ErrContent},
		{"issued tomorrow", func(r *trust.Root) { r.Issued = days(1) }, quorum, trust.ErrRootExpired},
		{"over already", func(r *trust.Root) { r.Issued, r.Expires = days(-5), now }, quorum, trust.ErrRootExpired},
		{"older than the one before", func(r *trust.Root) { r.Issued = days(-11) }, quorum, trust.ErrRootChain},
		{"threshold of nothing", func(r *trust.Root) { r.Threshold = 0 }, quorum, trust.ErrContent},
		{"no bundle keys", func(r *trust.Root) { r.BundleKeys = nil }, quorum, trust.ErrContent},
		{"an empty key", func(r *trust.Root) { r.Keys = append(r.Keys[:2:2], keys.PublicKey{}) }, quorum, trust.ErrContent},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := good
			tt.spoil(&r)
			if _, err := trust.SignRoot(rand.Reader, c.chain, r, tt.signers, now); err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("SignRoot: %v, want %v", err, tt.want)
			}
		})
	}
	if _, err := trust.SignRoot(rand.Reader, c.chain, good, quorum, now); err != nil {
		t.Errorf("the root that was spoiled was not good: %v", err)
	}
}

// TestAcceptRefuses gives a verifier that uses version 3 one file that it must
// not take. The state stays as it was, byte for byte.
func TestAcceptRefuses(t *testing.T) {
	c := newCountry(t)
	first := c.sign(t, c.content(t))
	second := c.daily(t, first, 8)
	firstRootKeys, oldBundleKeys := c.rootKeys, c.bundleKeys
	b := open(t, second)
	c.rotate(t, b.AsOf.AddDate(0, 0, 1))
	third := b.Next(c.root.Issued)
	third.Roots = c.chain
	third.Status[0] = packed(t, listURI, third.AsOf, 7, 8)
	inUse := c.sign(t, third)
	st := trusted(t, first, second, inUse)

	// other is the country's next bundle with something spoiled.
	next := func(spoil func(*trust.Content)) []byte {
		o := open(t, inUse)
		n := o.Next(o.AsOf.AddDate(0, 0, 1))
		spoil(&n)
		return c.sign(t, n)
	}
	elsewhere := newCountry(t)
	foreign := elsewhere.content(t)
	foreign.Version, foreign.Previous, foreign.AsOf, foreign.Status = 4, [32]byte{1}, now, nil
	delta := func(from, to []byte) []byte {
		d, err := trust.MakeDelta(from, to)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	fourth := next(func(*trust.Content) {})
	fifth := c.daily(t, fourth, 8)

	tests := []struct {
		name string
		file []byte
		want error
	}{
		{"OFF-06 the bundle before", second, trust.ErrRollback},
		{"OFF-06 the first bundle", first, trust.ErrRollback},
		{"OFF-06 a newer bundle signed by retired bundle keys", func() []byte {
			n := open(t, inUse).Next(now)
			payload, _ := n.Payload()
			f, _ := trust.SignPayload(trust.ContentTypeBundle, payload, oldBundleKeys[:2]...)
			return f
		}(), trust.ErrQuorum},
		{"OFF-06 a newer bundle under the retired root", func() []byte {
			n := open(t, inUse).Next(now)
			n.Roots = n.Roots[:1]
			payload, _ := n.Payload()
			f, _ := trust.SignPayload(trust.ContentTypeBundle, payload, oldBundleKeys[:2]...)
			return f
		}(), trust.ErrRollback},
		{"another root", elsewhere.forge(t, foreign), trust.ErrOtherRoot},
		{"a second root 2 signed by retired root keys", newFork(t, c, firstRootKeys, first), trust.ErrRootChain},
		{"mixed: another bundle of this version", func() []byte {
			o := third
			o.Jurisdiction = "XX-north"
			return c.sign(t, o)
		}(), trust.ErrMixed},
		{"mixed: the next after another bundle of this version", next(func(n *trust.Content) { n.Previous[0] ^= 1 }), trust.ErrMixed},
		{"P07 a later version with an older list", next(func(n *trust.Content) { n.Status[0] = packed(t, listURI, days(-1), 7, 8) }), trust.ErrBackwards},
		{"OFF-07 half of a download", fourth[:len(fourth)/2], trust.ErrMalformed},
		{"OFF-09 a bomb", bomb(t), trust.ErrTooLarge},
		{"delta after a gap", delta(fourth, fifth), trust.ErrGap},
		{"delta to the bundle before", delta(first, second), trust.ErrRollback},
		{"OFF-07 half of a delta", delta(inUse, fourth)[:99], trust.ErrMalformed},
		{"nothing at all", nil, trust.ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, b, err := trust.Accept(st, tt.file, func(*trust.Bundle) bool {
				t.Error("first trust was asked for again")
				return true
			})
			if !errors.Is(err, tt.want) || b != nil {
				t.Errorf("Accept: %v, %v, want %v", b, err, tt.want)
			}
			if diff := cmp.Diff(st, got); diff != "" {
				t.Errorf("the state changed (-before +after):\n%s", diff)
			}
		})
	}
	for name, file := range map[string][]byte{"the same again": inUse, "the next": fourth, "the next by delta": delta(inUse, fourth), "one after a gap": fifth} {
		if _, _, err := trust.Accept(st, file, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// newFork is what thieves of the first root keys can make after the rotation: a
// second root 2 with keys of their own, and a bundle of a high version under it.
func newFork(t testing.TB, c *country, firstRootKeys []keys.Signer, first []byte) []byte {
	t.Helper()
	ownRoot, ownBundle := newSigner(t, keys.TrustRoot), newSigner(t, keys.TrustBundle)
	r := trust.Root{
		Version: 2, Issued: now, Expires: now.AddDate(10, 0, 0), Threshold: 1, BundleThreshold: 1,
		Keys: publicKeys([]keys.Signer{ownRoot}), BundleKeys: publicKeys([]keys.Signer{ownBundle}),
	}
	n := open(t, first).Next(now)
	n.Version = 40
	n.Roots = forgeRoot(t, c.chain[:1], r, append(slices.Clone(firstRootKeys), ownRoot)...)
	file, err := n.Sign(rand.Reader, []keys.Signer{ownBundle}, now)
	if err != nil {
		t.Fatal(err) // it is sound by itself: only the memory of a verifier stops it
	}
	return file
}

// TestBackwardsDate needs a bundle that goes back in time under a root that is
// old enough for it.
func TestBackwardsDate(t *testing.T) {
	c := newCountry(t)
	first := c.sign(t, c.content(t))
	n := open(t, first).Next(days(-2))
	n.Version, n.Status = 5, nil
	if _, _, err := trust.Accept(trusted(t, first), c.sign(t, n), nil); !errors.Is(err, trust.ErrBackwards) {
		t.Errorf("P07 a later version with an earlier date: %v", err)
	}
}

func TestFirstTrust(t *testing.T) {
	c := newCountry(t)
	file := c.sign(t, c.content(t))
	want := open(t, file).Fingerprint()
	other := "1" + want[1:]
	if want[0] == '1' {
		other = "2" + want[1:]
	}
	for name, first := range map[string]trust.Confirm{
		"nobody":              nil,
		"a person says no":    func(*trust.Bundle) bool { return false },
		"another fingerprint": trust.Pinned(other),
		"no fingerprint":      trust.Pinned(""),
		"part of it":          trust.Pinned(want[:5]),
	} {
		st, b, err := trust.Accept(trust.State{}, file, first)
		if !errors.Is(err, trust.ErrFirstTrust) || b != nil || st.Trusted() {
			t.Errorf("%s: %v, %v", name, b, err)
		}
	}
	for name, first := range map[string]trust.Confirm{
		"a person says yes":      func(b *trust.Bundle) bool { return b.Fingerprint() == want },
		"the fingerprint":        trust.Pinned(want),
		"typed in another shape": trust.Pinned(" " + string(bytes.ReplaceAll([]byte(want), []byte(" "), []byte("-")))),
	} {
		st, b, err := trust.Accept(trust.State{}, file, first)
		if err != nil || !st.Trusted() || st.HighWater != 1 || st.BundleHash != b.Hash() || !st.NewestSeen.Equal(b.AsOf) {
			t.Errorf("%s: %+v, %v", name, st, err)
		}
	}
	// A delta is nothing to begin with, whoever confirms it.
	d, err := trust.MakeDelta(file, c.daily(t, file))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := trust.Accept(trust.State{}, d, trust.Pinned(want)); !errors.Is(err, trust.ErrGap) {
		t.Errorf("a delta as first trust: %v", err)
	}
	if _, err := trust.Open(d); !errors.Is(err, trust.ErrGap) {
		t.Errorf("a delta opened: %v", err)
	}
}

// TestStateOpen is OFF-05 in memory: whoever can write to the cache puts another
// bundle there.
func TestStateOpen(t *testing.T) {
	c := newCountry(t)
	first := c.sign(t, c.content(t))
	second := c.daily(t, first, 8)
	st := trusted(t, first, second)
	if b, err := st.Open(); err != nil || b.Version != 2 {
		t.Errorf("Open: %v, %v", b, err)
	}
	elsewhere := newCountry(t)
	twin := open(t, second).Content
	twin.Jurisdiction = "XX-north"
	for name, tt := range map[string]struct {
		file []byte
		want error
	}{
		"no bundle":                     {nil, trust.ErrNoBundle},
		"OFF-05 another of its number":  {c.sign(t, twin), trust.ErrEdited},
		"OFF-05 the bundle before":      {first, trust.ErrEdited},
		"OFF-05 another country's":      {elsewhere.sign(t, elsewhere.content(t)), trust.ErrEdited},
		"OFF-05 one bit turned":         {flip(second, 40), trust.ErrEdited},
		"OFF-07 half of it":             {second[:len(second)/2], trust.ErrEdited},
		"OFF-05 nothing where it stood": {[]byte{}, trust.ErrEdited},
	} {
		spoiled := st
		spoiled.Bundle = tt.file
		if _, err := spoiled.Open(); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
		// The mark holds: the old bundle is no way back, the same and the next are.
		if _, _, err := trust.Accept(spoiled, first, nil); !errors.Is(err, trust.ErrRollback) {
			t.Errorf("%s: then the bundle before: %v", name, err)
		}
		if _, _, err := trust.Accept(spoiled, second, nil); err != nil {
			t.Errorf("%s: then the same bundle: %v", name, err)
		}
		if _, _, err := trust.Accept(spoiled, c.daily(t, second, 8), nil); err != nil {
			t.Errorf("%s: then the next bundle: %v", name, err)
		}
		d, err := trust.MakeDelta(second, c.daily(t, second, 8))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := trust.Accept(spoiled, d, nil); err == nil {
			t.Errorf("%s: then a delta was applied", name)
		}
	}
}

// TestFiftyRotations replaces all root and bundle keys fifty times. Verifiers
// that stayed away for any number of rotations follow, and each issuer key that
// was ever in a bundle keeps verifying.
func TestFiftyRotations(t *testing.T) {
	c := newCountry(t)
	file := c.sign(t, c.content(t))
	states := []trust.State{trusted(t, file)}
	at, b := now, open(t, file)
	for range 50 {
		at = at.AddDate(0, 3, 0)
		c.rotate(t, at)
		n := b.Next(at)
		n.Roots = c.chain
		n.Status = nil
		n.Issuers[0].Keys[0].State = keys.Retired
		fresh := trust.NewIssuerKey(newSigner(t, keys.Credential).Key(), []string{birthType}, nil)
		n.Issuers[0].Keys = append([]trust.IssuerKey{fresh}, n.Issuers[0].Keys...)
		file = c.sign(t, n)
		st, next, err := trust.Accept(states[len(states)-1], file, nil)
		if err != nil {
			t.Fatal(err)
		}
		states, b = append(states, st), next
	}
	last := b
	for i, st := range states {
		if i%12 != 0 {
			continue // following costs a look at every root
		}
		next, b, err := trust.Accept(st, file, nil)
		if err != nil || next.RootVersion != 51 || b.Hash() != last.Hash() {
			t.Errorf("P19 a verifier that missed %d rotations: %v", 50-i, err)
		}
		then, err := st.Open()
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range then.KeysFor("xx-registry", nil) {
			if _, _, ok := last.IssuerKey(k); !ok {
				t.Errorf("P19 key %s is gone", k.ID())
			}
		}
	}
}

// TestAcceptOutOfOrder brings bundles in any order, as copies on USB sticks do.
// What is used never gets older.
func TestAcceptOutOfOrder(t *testing.T) {
	c := newCountry(t)
	files := [][]byte{c.sign(t, c.content(t))}
	for i := range uint64(6) {
		files = append(files, c.daily(t, files[len(files)-1], 100+i))
	}
	st := trusted(t, files[0])
	r := []int{3, 1, 0, 3, 5, 4, 2, 6, 6, 0, 5}
	for _, i := range r {
		next, b, err := trust.Accept(st, files[i], nil)
		switch {
		case err == nil && (b.Version < st.HighWater || next.HighWater < st.HighWater):
			t.Fatalf("went back from version %d to %d", st.HighWater, b.Version)
		case err != nil && uint64(i)+1 > st.HighWater:
			t.Fatalf("version %d after %d: %v", i+1, st.HighWater, err)
		}
		st = next
	}
	if st.HighWater != 7 {
		t.Errorf("ended at version %d, want 7", st.HighWater)
	}
}

// FuzzAccept changes bytes of the inflated file. Only what the quorum signed is
// ever accepted, whatever the rest of the file says.
func FuzzAccept(f *testing.F) {
	c := newCountry(f)
	first := c.sign(f, c.content(f))
	second := c.daily(f, first, 8)
	d, err := trust.MakeDelta(first, second)
	if err != nil {
		f.Fatal(err)
	}
	known := map[[32]byte]bool{open(f, first).Hash(): true, open(f, second).Hash(): true}
	st := trusted(f, first)
	for _, file := range [][]byte{first, second, d} {
		raw, err := trust.Inflate(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	fingerprint := st.RootFingerprint
	boundtest.Fuzz(f, func(t *testing.T, raw []byte) {
		file := uncompressed(t, raw)
		if b, err := trust.Open(file); err == nil && b.Fingerprint() == fingerprint && !known[b.Hash()] {
			t.Fatalf("opened a bundle that the quorum never signed")
		}
		next, b, err := trust.Accept(st, file, func(*trust.Bundle) bool { return true })
		if err == nil && (!known[b.Hash()] || next.HighWater < st.HighWater) {
			t.Fatalf("accepted a bundle that the quorum never signed")
		}
	})
}

// uncompressed is raw as a zlib stream that does not compress, which spares a
// fuzzer the work.
func uncompressed(t testing.TB, raw []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := zlib.NewWriterLevel(&out, zlib.NoCompression)
	if err == nil {
		_, err = w.Write(raw)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// FuzzOpen is the same for the file as it comes.
func FuzzOpen(f *testing.F) {
	c := newCountry(f)
	good := c.sign(f, c.content(f))
	want := open(f, good)
	f.Add(good)
	f.Add([]byte{0x78, 0x9c})
	boundtest.Fuzz(f, func(t *testing.T, file []byte) {
		if b, err := trust.Open(file); err == nil && b.Fingerprint() == want.Fingerprint() && b.Hash() != want.Hash() {
			t.Fatal("opened a bundle that the quorum never signed")
		}
	})
}
