package trust_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/trust"
)

func TestRoundTrip(t *testing.T) {
	c := newCountry(t)
	want := c.content(t)
	b := open(t, c.sign(t, want))
	if diff := cmp.Diff(want, b.Content, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("content (-signed +opened):\n%s", diff)
	}
	if diff := cmp.Diff(c.root, b.Root); diff != "" {
		t.Errorf("root (-signed +opened):\n%s", diff)
	}
	payload, err := want.Payload()
	if err != nil || !cbor.IsDeterministic(payload) {
		t.Errorf("the payload is not deterministic CBOR: %v", err)
	}
	// Signed again it is another file with the same hash.
	again := open(t, c.sign(t, want))
	if again.Hash() != b.Hash() || again.Fingerprint() != b.Fingerprint() {
		t.Error("the same content has another hash")
	}
}

func TestLookups(t *testing.T) {
	c := newCountry(t)
	content := c.content(t)
	second := newSigner(t, keys.Credential)
	planned := trust.NewIssuerKey(second.Key(), []string{birthType}, nil)
	planned.State = keys.Planned
	content.Issuers[0].Keys = append(content.Issuers[0].Keys, planned)
	b := open(t, c.sign(t, content))

	first, other := c.registry.Key().Public, c.ministry.Key().Public
	keysFor := []struct {
		name   string
		issuer string
		kid    []byte
		want   []keys.PublicKey
	}{
		{"by kid", "xx-registry", first.ID().Bytes(), []keys.PublicKey{first}},
		{"without kid", "xx-registry", nil, []keys.PublicKey{first, second.Key().Public}},
		{"a kid nobody has", "xx-registry", []byte("12345678"), nil},
		{"an empty kid", "xx-registry", []byte{}, nil},
		{"a kid of another issuer", "xx-registry", other.ID().Bytes(), nil},
		{"an unknown issuer", "yy-registry", first.ID().Bytes(), nil},
		{"no issuer", "", nil, nil},
	}
	for _, tt := range keysFor {
		if diff := cmp.Diff(tt.want, b.KeysFor(tt.issuer, tt.kid)); diff != "" {
			t.Errorf("KeysFor %s (-want +got):\n%s", tt.name, diff)
		}
	}
	if got := b.KeysWithID(other.ID().Bytes()); !slices.ContainsFunc(got, other.Equal) || b.KeysWithID(nil) != nil {
		t.Errorf("KeysWithID: %v", got)
	}

	issuer, key, ok := b.IssuerKey(other)
	if !ok || issuer.ID != "xx-ministry" || !key.MaySign(farmerType) || key.MaySign(birthType) || key.MaySign("") {
		t.Errorf("IssuerKey: %v, %v, %v", issuer.ID, key, ok)
	}
	if _, _, ok := b.IssuerKey(newSigner(t, keys.Credential).Key().Public); ok {
		t.Error("IssuerKey knows a key that nobody published")
	}
	if _, _, ok := b.IssuerKey(keys.PublicKey{}); ok {
		t.Error("IssuerKey knows the zero key")
	}
	if typ, ok := b.Type(farmerType); !ok || typ.Fields[1].Values["2"]["en"] != "Jute" {
		t.Errorf("Type: %+v, %v", typ, ok)
	}
	if _, ok := b.Type("urn:xx:other:1"); ok {
		t.Error("Type describes a type that nobody described")
	}
	if i, ok := b.Issuer("xx-registry"); !ok || i.Names["bn"] == "" {
		t.Errorf("Issuer: %+v, %v", i, ok)
	}
	if _, ok := b.Issuer("yy"); ok {
		t.Error("Issuer knows one that nobody named")
	}
	if _, _, ok := b.StatusList("https://status.example/lists/2"); ok {
		t.Error("StatusList has a list that nobody packed")
	}
}

// TestStatusList opens lists from many goroutines at once.
func TestStatusList(t *testing.T) {
	c := newCountry(t)
	content := c.content(t)
	closed, err := packed(t, "https://status.example/lists/2", days(-1), 9).WithIssued([]uint64{3, 9})
	if err != nil {
		t.Fatal(err)
	}
	content.Status = append(content.Status, closed)
	b := open(t, c.sign(t, content))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			l, s, ok := b.StatusList(listURI)
			if !ok || l.Check(7) == nil || l.Check(8) != nil || !s.IssuedAt.Equal(days(-1)) {
				t.Errorf("StatusList: %v, %v", s, ok)
			}
			if _, ok := b.IssuedSlots(listURI); ok {
				t.Error("IssuedSlots of a list that is open")
			}
			l, ok = b.IssuedSlots(closed.URI)
			if !ok {
				t.Error("IssuedSlots of a closed list: none")
				return
			}
			given, _ := l.Get(3)
			never, _ := l.Get(4)
			if given != 1 || never != 0 {
				t.Errorf("slot 3: %d, slot 4: %d, want 1 and 0", given, never)
			}
			if _, ok := b.IssuedSlots("https://status.example/lists/3"); ok {
				t.Error("IssuedSlots of a list that is not there")
			}
		})
	}
	wg.Wait()
}

// TestSpoiledListIsNoList: Sign would not have signed it.
func TestSpoiledListIsNoList(t *testing.T) {
	c := newCountry(t)
	content := c.content(t)
	content.Status[0].SHA256[0] ^= 1
	b := open(t, c.forge(t, content))
	if _, _, ok := b.StatusList(listURI); ok {
		t.Error("P13 a list that does not have its hash is used")
	}
}

// TestUnknownKeysAreKeptOut adds a key of a kind that only a later release knows.
func TestUnknownKeysAreKeptOut(t *testing.T) {
	c := newCountry(t)
	payload, err := c.content(t).Payload()
	if err != nil {
		t.Fatal(err)
	}
	// kty 7 (AKP) with a public key that is none to us.
	newer, err := cbor.Marshal(map[int64]any{1: 7, 3: -48, -1: make([]byte, 1312)})
	if err != nil {
		t.Fatal(err)
	}
	var values map[uint64]cbor.RawMessage
	if err := cbor.Bundle.Unmarshal(payload, &values); err != nil {
		t.Fatal(err)
	}
	old := c.registry.Key().Public.COSEKey()
	if !bytes.Contains(values[9], old) {
		t.Fatal("the key is not where it should be")
	}
	values[9] = bytes.Replace(values[9], old, newer, 1)
	values[99] = []byte{0xf5} // and a part that only a later release knows
	if payload, err = cbor.Marshal(values); err != nil {
		t.Fatal(err)
	}
	file, err := trust.SignPayload(trust.ContentTypeBundle, payload, c.bundleKeys[:2]...)
	if err != nil {
		t.Fatal(err)
	}
	b := open(t, file)
	if got := b.KeysFor("xx-registry", nil); len(got) != 0 {
		t.Errorf("KeysFor: %v", got)
	}
	if got := b.KeysFor("xx-ministry", nil); len(got) != 1 {
		t.Errorf("the other issuer has %d keys", len(got))
	}
	if _, err := b.Next(now).Sign(rand.Reader, c.bundleKeys[:2], now); !errors.Is(err, trust.ErrContent) {
		t.Errorf("a key that was not understood was signed again: %v", err)
	}
}

func TestFingerprint(t *testing.T) {
	c := newCountry(t)
	file := c.sign(t, c.content(t))
	b := open(t, file)
	if !regexp.MustCompile(`^\d{5}( \d{5}){5}$`).MatchString(b.Fingerprint()) {
		t.Errorf("fingerprint %q is not six groups of five digits", b.Fingerprint())
	}
	c.rotate(t, now)
	next := b.Next(now)
	next.Roots = c.chain
	if got := open(t, c.sign(t, next)).Fingerprint(); got != b.Fingerprint() {
		t.Errorf("after new root keys: %s, before: %s", got, b.Fingerprint())
	}
	// The threshold is part of it: one stolen key must not be able to found a root
	// of one out of three with the same digits.
	weak := c.root
	weak.Version, weak.Threshold = 1, 1
	strong := weak
	strong.Threshold = 2
	prints := map[string]bool{}
	for _, r := range []trust.Root{weak, strong} {
		chain, err := trust.SignRoot(rand.Reader, nil, r, c.rootKeys[:2], now)
		if err != nil {
			t.Fatal(err)
		}
		content := c.content(t)
		content.Roots, content.AsOf = chain, now
		prints[open(t, c.sign(t, content)).Fingerprint()] = true
	}
	if len(prints) != 2 {
		t.Error("the threshold does not change the fingerprint")
	}
}

func TestAge(t *testing.T) {
	c := newCountry(t)
	content := c.content(t)
	content.AsOf, content.RefreshBy, content.OldAfter = now, days(10), days(30)
	b := open(t, c.sign(t, content))
	for _, tt := range []struct {
		at   time.Time
		want trust.Age
	}{
		{now.AddDate(-50, 0, 0), trust.Fresh}, {now, trust.Fresh}, {days(8).Add(-time.Second), trust.Fresh},
		{days(8), trust.UpdateSoon}, {days(10).Add(-time.Second), trust.UpdateSoon},
		{days(10), trust.Old}, {days(30).Add(-time.Second), trust.Old},
		{days(30), trust.Expired}, {now.AddDate(100, 0, 0), trust.Expired},
	} {
		if got := b.Age(tt.at); got != tt.want {
			t.Errorf("P14 at %v: %s, want %s", tt.at, got, tt.want)
		}
	}
	content.RefreshBy, content.OldAfter = now.AddDate(20, 0, 0), now.AddDate(30, 0, 0)
	if got := open(t, c.sign(t, content)).Age(now.AddDate(10, 0, 0)); got != trust.Expired {
		t.Errorf("OFF-04 after the end of the root: %s", got)
	}
}

// TestSignRefuses spoils one thing at a time in content that is good otherwise.
func TestSignRefuses(t *testing.T) {
	long := strings.Repeat("x", 201)
	tests := []struct {
		name  string
		spoil func(*country, *trust.Content)
		want  error
	}{
		{"an issuer with an http address", func(_ *country, c *trust.Content) { c.Issuers[0].URL = "http://registry.example" }, trust.ErrContent},
		{"an http address that begins like one of this machine", func(_ *country, c *trust.Content) { c.Issuers[0].URL = "http://localhost.example" }, trust.ErrContent},
		{"JWS-19 an issuer with the id of another for its address", func(_ *country, c *trust.Content) {
			c.Issuers[1].ID, c.Issuers[0].URL = "https://other.example", "https://other.example"
		}, trust.ErrContent},
		{"version 0", func(_ *country, c *trust.Content) { c.Version = 0 }, trust.ErrContent},
		{"version 2 without the one before", func(_ *country, c *trust.Content) { c.Version = 2 }, trust.ErrContent},
		{"version 1 with one before", func(_ *country, c *trust.Content) { c.Previous[0] = 1 }, trust.ErrContent},
		{"P20 as of tomorrow", func(_ *country, c *trust.Content) { c.AsOf = days(1) }, trust.ErrContent},
		{"no date", func(_ *country, c *trust.Content) { c.AsOf = time.Time{} }, trust.ErrContent},
		{"refresh before it is made", func(_ *country, c *trust.Content) { c.RefreshBy = days(-2) }, trust.ErrContent},
		{"old before refresh", func(_ *country, c *trust.Content) { c.OldAfter = days(20) }, trust.ErrContent},
		{"no jurisdiction", func(_ *country, c *trust.Content) { c.Jurisdiction = "" }, trust.ErrContent},
		{"no algorithms", func(_ *country, c *trust.Content) { c.Algorithms = nil }, trust.ErrContent},
		{"an algorithm that is none of ours", func(_ *country, c *trust.Content) { c.Algorithms = append(c.Algorithms, "HS256") }, trust.ErrContent},
		{"a key for an algorithm not allowed", func(_ *country, c *trust.Content) { c.Algorithms = []keys.Algorithm{keys.ES256} }, trust.ErrContent},
		{"minimum version in words", func(_ *country, c *trust.Content) { c.MinimumVersion = "latest" }, trust.ErrContent},
		{"an issuer twice", func(_ *country, c *trust.Content) { c.Issuers[1].ID = c.Issuers[0].ID }, trust.ErrContent},
		{"an issuer without an id", func(_ *country, c *trust.Content) { c.Issuers[0].ID = "" }, trust.ErrContent},
		{"an issuer id with a space", func(_ *country, c *trust.Content) { c.Issuers[0].ID = "xx registry" }, trust.ErrContent},
		{"an issuer without an English name", func(_ *country, c *trust.Content) {
			c.Issuers[0].Names = map[string]string{"bn": "নিবন্ধন"}
		}, trust.ErrContent},
		{"an issuer without names", func(_ *country, c *trust.Content) { c.Issuers[0].Names = nil }, trust.ErrContent},
		{"a name with a line break", func(_ *country, c *trust.Content) { c.Issuers[0].Names["en"] = "Civil\nRegistry" }, trust.ErrContent},
		{"a name that turns the screen round", func(_ *country, c *trust.Content) { c.Issuers[0].Names["en"] = "Civil \u202eRegistry" }, trust.ErrContent},
		{"a name that is not UTF-8", func(_ *country, c *trust.Content) { c.Issuers[0].Names["en"] = "Civil \xff" }, trust.ErrContent},
		{"a name that is too long", func(_ *country, c *trust.Content) { c.Issuers[0].Names["en"] = long }, trust.ErrContent},
		{"a language that is none", func(_ *country, c *trust.Content) { c.Issuers[0].Names["../en"] = "x" }, trust.ErrContent},
		{"a country that is none", func(_ *country, c *trust.Content) { c.Issuers[0].Country = "xx" }, trust.ErrContent},
		{"a logo that is too large", func(_ *country, c *trust.Content) { c.Issuers[0].Logo = append([]byte("<svg"), make([]byte, 2045)...) }, trust.ErrContent},
		{"a logo that is no SVG", func(_ *country, c *trust.Content) { c.Issuers[0].Logo = []byte("\x89PNG") }, trust.ErrContent},
		{"a key twice", func(_ *country, c *trust.Content) {
			c.Issuers[0].Keys = append(c.Issuers[0].Keys, c.Issuers[0].Keys[0])
		}, trust.ErrContent},
		{"a key of two issuers", func(_ *country, c *trust.Content) {
			k := c.Issuers[1].Keys[0]
			k.Types = []string{birthType}
			c.Issuers[0].Keys = append(c.Issuers[0].Keys, k)
		}, trust.ErrContent},
		{"a key under another id than its own", func(_ *country, c *trust.Content) { c.Issuers[0].Keys[0].KeyID[0] ^= 1 }, trust.ErrContent},
		{"a key without its public key", func(_ *country, c *trust.Content) { c.Issuers[0].Keys[0].Key = keys.PublicKey{} }, trust.ErrContent},
		{"a key in no state", func(_ *country, c *trust.Content) { c.Issuers[0].Keys[0].State = "" }, trust.ErrContent},
		{"compromised without a date", func(_ *country, c *trust.Content) { c.Issuers[0].Keys[0].State = keys.Compromised }, trust.ErrContent},
		{"a date of compromise for a good key", func(_ *country, c *trust.Content) { c.Issuers[0].Keys[0].CompromisedSince = now }, trust.ErrContent},
		{"stops verifying before it stops signing", func(_ *country, c *trust.Content) { c.Issuers[0].Keys[0].ValidTo = days(10) }, trust.ErrContent},
		{"a key that may sign nothing", func(_ *country, c *trust.Content) { c.Issuers[0].Keys[0].Types = nil }, trust.ErrContent},
		{"a key for a type nobody describes", func(_ *country, c *trust.Content) { c.Issuers[0].Keys[0].Types = []string{"urn:xx:other:1"} }, trust.ErrContent},
		{"a region without a name", func(_ *country, c *trust.Content) { c.Issuers[0].Keys[0].Regions = []string{""} }, trust.ErrContent},
		{"a type twice", func(_ *country, c *trust.Content) { c.Types = append(c.Types, c.Types[0]) }, trust.ErrContent},
		{"a type without an English label", func(_ *country, c *trust.Content) { c.Types[0].Labels = nil }, trust.ErrContent},
		{"a field without an English label", func(_ *country, c *trust.Content) { c.Types[1].Fields[0].Labels = nil }, trust.ErrContent},
		{"a value without an English label", func(_ *country, c *trust.Content) { c.Types[1].Fields[1].Values["1"] = nil }, trust.ErrContent},
		{"a field twice", func(_ *country, c *trust.Content) { c.Types[1].Fields[1].Key = 1 }, trust.ErrContent},
		{"two fields of one name", func(_ *country, c *trust.Content) { c.Types[1].Fields[1].Name = "farm_size" }, trust.ErrContent},
		{"a field of an unknown kind", func(_ *country, c *trust.Content) { c.Types[1].Fields[1].Kind = "picture" }, trust.ErrContent},
		{"an unknown person check", func(_ *country, c *trust.Content) { c.Types[1].PersonCheck = "handshake" }, trust.ErrContent},
		{"old before it stops being fresh", func(_ *country, c *trust.Content) { c.Types[1].OldAfter = time.Hour }, trust.ErrContent},
		{"fresh for less than nothing", func(_ *country, c *trust.Content) { c.Types[1].FreshFor = -time.Hour }, trust.ErrContent},
		{"a list twice", func(_ *country, c *trust.Content) { c.Status = append(c.Status, c.Status[0]) }, trust.ErrContent},
		{"a list that does not open", func(_ *country, c *trust.Content) { c.Status[0].SHA256[5] ^= 1 }, trust.ErrContent},
		{"a list newer than the bundle", func(_ *country, c *trust.Content) { c.Status[0].IssuedAt = now }, trust.ErrContent},
		{"issued slots that do not open", func(_ *country, c *trust.Content) { c.Status[0].Issued = []byte{1} }, trust.ErrContent},
		{"a message without English text", func(_ *country, c *trust.Content) { c.Messages[0].Text = nil }, trust.ErrContent},
		{"a message twice", func(_ *country, c *trust.Content) { c.Messages = append(c.Messages, c.Messages[0]) }, trust.ErrContent},
		{"a verifier without a name", func(_ *country, c *trust.Content) { c.Verifiers[0].Names = nil }, trust.ErrContent},
		{"a verifier that may ask for a type twice", func(_ *country, c *trust.Content) {
			c.Verifiers[0].Asks = append(c.Verifiers[0].Asks, c.Verifiers[0].Asks[0])
		}, trust.ErrContent},
		{"a verifier that may ask for no type in particular", func(_ *country, c *trust.Content) { c.Verifiers[0].Asks = []trust.Asked{{}} }, trust.ErrContent},
		{"a verifier that may ask for a claim without name", func(_ *country, c *trust.Content) {
			c.Verifiers[0].Asks = []trust.Asked{{Type: "urn:x", Claims: []string{""}}}
		}, trust.ErrContent},
		{"a verifier that may ask for far too much", func(_ *country, c *trust.Content) {
			c.Verifiers[0].Asks = []trust.Asked{{Type: "urn:x", Claims: slices.Repeat([]string{"a"}, 257)}}
		}, trust.ErrContent},
		{"a verifier with more keys than it needs", func(_ *country, n *trust.Content) {
			n.Verifiers[0].Keys = slices.Repeat(n.Verifiers[0].Keys[:1], 5)
		}, trust.ErrContent},
		{"a verifier twice", func(_ *country, c *trust.Content) { c.Verifiers = append(c.Verifiers, c.Verifiers[0]) }, trust.ErrContent},
		{"an authority without its key", func(_ *country, c *trust.Content) { c.Issuers[0].Authority = &trust.Authority{} }, trust.ErrContent},
		{"no root", func(_ *country, c *trust.Content) { c.Roots = nil }, trust.ErrRootChain},
		{"a spoiled root", func(_ *country, c *trust.Content) { c.Roots = [][]byte{flip(c.Roots[0], len(c.Roots[0])-1)} }, trust.ErrQuorum},
		{"before the root was issued", func(_ *country, c *trust.Content) { c.AsOf, c.Status = days(-11), nil }, trust.ErrRootExpired},
	}
	c := newCountry(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			content := c.content(t)
			tt.spoil(c, &content)
			if _, err := content.Sign(rand.Reader, c.bundleKeys[:2], now); !errors.Is(err, tt.want) {
				t.Errorf("Sign: %v, want %v", err, tt.want)
			}
		})
	}
}

// TestSignersAreChecked gives good content to the wrong signers.
func TestSignersAreChecked(t *testing.T) {
	c := newCountry(t)
	other := newSigner(t, keys.TrustBundle)
	faulty := brokenSigner{c.bundleKeys[1]}
	tests := []struct {
		name    string
		signers []keys.Signer
		at      time.Time
		want    error
	}{
		{"nobody", nil, now, nil},
		{"one short of the quorum", c.bundleKeys[:1], now, trust.ErrQuorum},
		{"one key twice", []keys.Signer{c.bundleKeys[0], c.bundleKeys[0]}, now, trust.ErrQuorum},
		{"a key that the root does not name", []keys.Signer{c.bundleKeys[0], c.bundleKeys[1], other}, now, trust.ErrQuorum},
		{"P18 root keys", c.rootKeys[:2], now, keys.ErrPurpose},
		{"P18 credential keys", []keys.Signer{c.bundleKeys[0], c.registry}, now, keys.ErrPurpose},
		{"KEY-05 past their window", c.bundleKeys[:2], now.AddDate(90, 0, 0), keys.ErrSignWindow},
		{"a signer that signs wrongly", []keys.Signer{c.bundleKeys[0], faulty}, now, trust.ErrQuorum},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := c.content(t).Sign(rand.Reader, tt.signers, tt.at)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("Sign: %v, want %v", err, tt.want)
			}
		})
	}
}

// A bundle of 200 issuers is about 40 kB, and about half of that compressed.
func TestSizeOfTwoHundredIssuers(t *testing.T) {
	c := newCountry(t)
	content := c.content(t)
	content.Status, content.Issuers = nil, content.Issuers[:0]
	for i := range 200 {
		k := newSigner(t, keys.Credential).Key()
		k.SignUntil = days(300)
		content.Issuers = append(content.Issuers, trust.Issuer{
			ID: ids(i), Names: map[string]string{"en": fmt.Sprintf("Registration Office %d", i), "fr": fmt.Sprintf("Bureau %d", i)},
			Country: "XX", Keys: []trust.IssuerKey{trust.NewIssuerKey(k, []string{birthType}, nil)},
		})
	}
	file := c.sign(t, content)
	raw, err := trust.Inflate(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("200 issuers: %d bytes, %d compressed", len(raw), len(file))
	if len(raw) > 50_000 || len(file) > 25_000 {
		t.Errorf("200 issuers take %d bytes, %d compressed, want about 40 000 and 20 000", len(raw), len(file))
	}
}

func BenchmarkOpen(b *testing.B) {
	c := newCountry(b)
	content := c.content(b)
	for i := range 200 {
		content.Issuers = append(content.Issuers, trust.Issuer{
			ID: ids(i), Names: map[string]string{"en": "Office"},
			Keys: []trust.IssuerKey{trust.NewIssuerKey(newSigner(b, keys.Credential).Key(), []string{birthType}, nil)},
		})
	}
	for i := range 48 { // about 50 million credentials
		l, err := status.NewList(1, 1<<20)
		if err != nil {
			b.Fatal(err)
		}
		for j := range uint64(10_000) {
			_ = l.Set((j*104_729+uint64(i))%(1<<20), status.Invalid)
		}
		s, err := status.NewSnapshot(fmt.Sprintf("https://status.example/lists/%d", i+2), l, days(-1))
		if err != nil {
			b.Fatal(err)
		}
		content.Status = append(content.Status, s)
	}
	file := c.sign(b, content)
	b.ReportAllocs()
	b.ReportMetric(float64(len(file)), "file-bytes")
	for b.Loop() {
		if _, err := trust.Open(file); err != nil {
			b.Fatal(err)
		}
	}
}

// TestAllows: a registration names types and claims, and a claim stands for what is in it.
func TestAllows(t *testing.T) {
	v := trust.Verifier{Asks: []trust.Asked{{Type: "urn:a", Claims: []string{"name", "address", "degrees[*].type"}}}}
	for _, tt := range []struct {
		typeID, path string
		want         bool
	}{
		{"urn:a", "name", true}, {"urn:a", "", true}, {"urn:a", "address.locality", true}, {"urn:a", "address[0]", true}, {"urn:a", "degrees[*].type", true},
		{"urn:a", "names", false}, {"urn:a", "address2", false}, {"urn:a", "degrees[*]", false}, {"urn:a", "born", false}, {"urn:b", "name", false}, {"urn:b", "", false},
	} {
		if got := v.Allows(tt.typeID, tt.path); got != tt.want {
			t.Errorf("Allows(%q, %q) = %v", tt.typeID, tt.path, got)
		}
	}
	if !(trust.Verifier{}).Allows("urn:b", "born") {
		t.Error("a verifier without limits is limited")
	}
}
