package cose_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"

	gocose "github.com/veraison/go-cose"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/internal/cose"
	"github.com/sanad-id/sanad/internal/vectors"
	"github.com/sanad-id/sanad/keys"
)

func newSigner(t testing.TB, alg keys.Algorithm) keys.Signer {
	t.Helper()
	var secret crypto.Signer
	var err error
	switch alg {
	case keys.EdDSA:
		_, secret, err = ed25519.GenerateKey(rand.Reader)
	case keys.ES384:
		secret, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	default:
		secret, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	pub, err := keys.NewPublicKey(alg, secret.Public())
	if err != nil {
		t.Fatal(err)
	}
	s, err := keys.NewSigner(keys.Key{Public: pub, Purpose: keys.Credential, State: keys.Active}, secret)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustSign1(t testing.TB, s keys.Signer, h cose.Header, payload string) []byte {
	t.Helper()
	b, err := cose.Sign1(rand.Reader, s, h, []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := cbor.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// verifyByHand checks a signature with the standard library alone.
func verifyByHand(t *testing.T, pub keys.PublicKey, message, sig []byte) bool {
	t.Helper()
	half := func(b []byte) (r, s *big.Int) {
		return new(big.Int).SetBytes(b[:len(b)/2]), new(big.Int).SetBytes(b[len(b)/2:])
	}
	switch pub.Algorithm() {
	case keys.ES256:
		digest := sha256.Sum256(message)
		r, s := half(sig)
		return ecdsa.Verify(pub.Crypto().(*ecdsa.PublicKey), digest[:], r, s)
	case keys.ES384:
		digest := sha512.Sum384(message)
		r, s := half(sig)
		return ecdsa.Verify(pub.Crypto().(*ecdsa.PublicKey), digest[:], r, s)
	}
	return ed25519.Verify(pub.Crypto().(ed25519.PublicKey), message, sig)
}

// bstr is a byte string, encoded by hand.
func bstr(b []byte) []byte {
	switch n := len(b); {
	case n < 24:
		return append([]byte{0x40 | byte(n)}, b...)
	case n < 256:
		return append([]byte{0x58, byte(n)}, b...)
	default:
		return append([]byte{0x59, byte(n >> 8), byte(n)}, b...)
	}
}

// TestSign1 is COSE-05: our signatures, checked by a way that shares no code with
// the one that made them, and by the library as it stands.
func TestSign1(t *testing.T) {
	for _, alg := range keys.Algorithms() {
		t.Run("COSE-05 "+string(alg), func(t *testing.T) {
			s := newSigner(t, alg)
			chain := [][]byte{bytes.Repeat([]byte{1}, 300), {2}}
			h := cose.Header{KeyID: []byte("12345678"), ContentType: "a/b", Type: "application/x+cwt", X5Chain: chain}
			b := mustSign1(t, s, h, "payload")

			m, err := cose.ParseSign1(b)
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Verify(alg, s.Key().Public); err != nil {
				t.Errorf("Verify: %v", err)
			}
			if p := m.Protected; p.Algorithm != alg || string(p.KeyID) != "12345678" || p.ContentType != "a/b" || p.Type != "application/x+cwt" || len(p.X5Chain) != 2 {
				t.Errorf("header: %+v", p)
			}
			if !bytes.Equal(m.X5Chain()[0], chain[0]) || !bytes.Equal(m.KeyID(), h.KeyID) || m.Unsigned() {
				t.Errorf("message: %+v", m)
			}

			// By hand: the Sig_structure from the protected header as it stands in
			// the message, which begins after tag and array head.
			if !bytes.HasPrefix(b, []byte{0xd2, 0x84}) {
				t.Fatalf("%x: no tag 18 and array of four", b[:2])
			}
			var parts []cbor.RawMessage
			if err := cbor.Token.Unmarshal(b[1:], &parts); err != nil {
				t.Fatal(err)
			}
			structure := append([]byte{0x84, 0x6a}, "Signature1"...)
			structure = append(structure, parts[0]...)
			structure = append(structure, 0x40) // no external data: an empty byte string, not null
			structure = append(structure, bstr([]byte("payload"))...)
			if !bytes.Equal(structure, m.ToBeSigned()) {
				t.Errorf("ToBeSigned: %x, want %x", m.ToBeSigned(), structure)
			}
			if !verifyByHand(t, s.Key().Public, structure, m.Signature) {
				t.Error("the signature does not verify by hand")
			}

			var lib gocose.Sign1Message
			if err := lib.UnmarshalCBOR(b); err != nil {
				t.Fatal(err)
			}
			v, err := gocose.NewVerifier(gocose.Algorithm(alg.COSE()), s.Key().Public.Crypto())
			if err != nil {
				t.Fatal(err)
			}
			if err := lib.Verify(nil, v); err != nil {
				t.Errorf("the library: %v", err)
			}
		})
	}
}

func TestParseSign1ReadsTags(t *testing.T) {
	s := newSigner(t, keys.ES256)
	tagged := mustSign1(t, s, cose.Header{}, "payload")
	for name, b := range map[string][]byte{
		"tag 18":         tagged,
		"no tag":         tagged[1:],
		"tags 61 and 18": append([]byte{0xd8, 61}, tagged...),
		"tag 61 alone":   append([]byte{0xd8, 61}, tagged[1:]...),
	} {
		m, err := cose.ParseSign1(b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := m.Verify(keys.ES256, s.Key().Public); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// message is a COSE_Sign1 message in parts, for spoiling.
type message struct {
	tags        []uint64
	protected   any // a map, or bytes as they are
	unprotected any
	payload     any
	signature   any
	extra       []any
	short       bool // without its last part
	context     string
	trailing    []byte
}

// sign signs the parts as they stand and returns the message.
func (m message) sign(t testing.TB, s keys.Signer) []byte {
	t.Helper()
	protected, ok := m.protected.([]byte)
	if !ok {
		protected = marshal(t, m.protected)
	}
	payload, _ := m.payload.([]byte)
	if m.signature == nil {
		structure := marshal(t, []any{m.context, protected, []byte{}, payload})
		signer, err := gocose.NewSigner(gocose.Algorithm(s.Key().Public.Algorithm().COSE()), s)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := signer.Sign(rand.Reader, structure)
		if err != nil {
			t.Fatal(err)
		}
		m.signature = sig
	}
	parts := append([]any{protected, m.unprotected, m.payload, m.signature}, m.extra...)
	if m.short {
		parts = parts[:3]
	}
	var v any = parts
	for i := len(m.tags) - 1; i >= 0; i-- {
		v = cbor.Tag{Number: m.tags[i], Content: v}
	}
	return append(marshal(t, v), m.trailing...)
}

// TestVerifyRefuses spoils one thing at a time in a message that is good
// otherwise and signed as it stands.
func TestVerifyRefuses(t *testing.T) {
	s := newSigner(t, keys.ES256)
	tests := []struct {
		name  string
		spoil func(*message)
		want  error
	}{
		{"nothing spoiled", func(*message) {}, nil},
		{"crit names what we know", func(m *message) { m.protected = map[any]any{1: -7, 2: []any{1, 4}, 4: []byte("k")} }, nil},
		{"COSE-01 kid in both buckets", func(m *message) { m.unprotected = map[any]any{4: []byte("other")} }, cose.ErrMalformed},
		{"COSE-01 the same kid in both buckets", func(m *message) { m.unprotected = map[any]any{4: []byte("kid")} }, cose.ErrMalformed},
		{"COSE-01 alg in both buckets", func(m *message) { m.unprotected = map[any]any{1: -7} }, cose.ErrMalformed},
		{"COSE-01 a text label in both buckets", func(m *message) {
			m.protected, m.unprotected = map[any]any{1: -7, "x": 1}, map[any]any{"x": 1}
		}, cose.ErrMalformed},
		{"COSE-02 crit with an unknown number", func(m *message) { m.protected = map[any]any{1: -7, 2: []any{99}, 99: 1} }, cose.ErrCrit},
		{"COSE-02 crit with an unknown word", func(m *message) { m.protected = map[any]any{1: -7, 2: []any{"x"}, "x": 1} }, cose.ErrCrit},
		{"COSE-02 crit with a known and an unknown", func(m *message) { m.protected = map[any]any{1: -7, 2: []any{1, 99}, 99: 1} }, cose.ErrCrit},
		{"COSE-02 crit names a header that is not there", func(m *message) { m.protected = map[any]any{1: -7, 2: []any{4}} }, cose.ErrMalformed},
		{"COSE-02 empty crit", func(m *message) { m.protected = map[any]any{1: -7, 2: []any{}} }, cose.ErrMalformed},
		{"COSE-02 crit is no array", func(m *message) { m.protected = map[any]any{1: -7, 2: 4} }, cose.ErrMalformed},
		{"COSE-02 crit in the unprotected header", func(m *message) { m.unprotected = map[any]any{2: []any{4}} }, cose.ErrMalformed},
		{"COSE-03 COSE_Mac0", func(m *message) { m.tags = []uint64{17} }, cose.ErrMalformed},
		{"COSE-03 COSE_Mac", func(m *message) { m.tags = []uint64{97} }, cose.ErrMalformed},
		{"COSE-03 COSE_Sign", func(m *message) { m.tags = []uint64{98} }, cose.ErrMalformed},
		{"COSE-03 countersignature", func(m *message) { m.tags = []uint64{19} }, cose.ErrMalformed},
		{"COSE-03 context of another structure", func(m *message) { m.context = "Signature" }, cose.ErrSignature},
		{"COSE-03 context of a countersignature", func(m *message) { m.context = "CounterSignature0" }, cose.ErrSignature},
		{"COSE-03 three parts", func(m *message) { m.short = true }, cose.ErrMalformed},
		{"COSE-03 five parts", func(m *message) { m.extra = []any{1} }, cose.ErrMalformed},
		{"COSE-04 null payload", func(m *message) { m.payload = nil }, cose.ErrMalformed},
		{"COSE-04 null signature", func(m *message) { m.signature = cbor.RawMessage{0xf6} }, cose.ErrMalformed},
		{"COSE-04 null protected header", func(m *message) { m.protected = []byte{0xf6} }, cose.ErrMalformed},
		{"COSE-04 null unprotected header", func(m *message) { m.unprotected = nil }, cose.ErrMalformed},
		{"COSE-04 undefined payload", func(m *message) { m.payload = cbor.RawMessage{0xf7} }, cose.ErrMalformed},
		{"COSE-06 detached payload", func(m *message) { m.payload = cbor.RawMessage{0xf6} }, cose.ErrMalformed},
		{"payload is a text", func(m *message) { m.payload = "payload" }, cose.ErrMalformed},
		{"encrypted", func(m *message) { m.tags = []uint64{16} }, cose.ErrEncrypted},
		{"encrypted, as a CWT", func(m *message) { m.tags = []uint64{61, 16} }, cose.ErrEncrypted},
		{"encrypted for several", func(m *message) { m.tags = []uint64{96} }, cose.ErrEncrypted},
		{"tag 61 twice", func(m *message) { m.tags = []uint64{61, 61, 18} }, cose.ErrMalformed},
		{"tag 18 twice", func(m *message) { m.tags = []uint64{18, 18} }, cose.ErrMalformed},
		{"tag 61 inside", func(m *message) { m.tags = []uint64{18, 61} }, cose.ErrMalformed},
		{"trailing byte", func(m *message) { m.trailing = []byte{0} }, cose.ErrMalformed},
		{"no signature", func(m *message) { m.signature = []byte{} }, cose.ErrUnsigned},
		{"signature of one byte", func(m *message) { m.signature = []byte{1} }, cose.ErrSignature},
		{"SIG-01 signature of zeros", func(m *message) { m.signature = make([]byte, 64) }, cose.ErrSignature},
		{"SIG-01 r and s equal to n", func(m *message) {
			n := elliptic.P256().Params().N.Bytes()
			m.signature = append(bytes.Clone(n), n...)
		}, cose.ErrSignature},
		{"no algorithm", func(m *message) { m.protected = map[any]any{4: []byte("kid")} }, cose.ErrMalformed},
		{"no protected header", func(m *message) { m.protected = []byte{} }, cose.ErrMalformed},
		{"empty map as protected header", func(m *message) { m.protected = []byte{0xa0} }, cose.ErrMalformed},
		{"algorithm in the unprotected header only", func(m *message) {
			m.protected, m.unprotected = map[any]any{4: []byte("kid")}, map[any]any{1: -7}
		}, cose.ErrMalformed},
		{"PS256", func(m *message) { m.protected = map[any]any{1: -37} }, cose.ErrUnsupportedAlgorithm},
		{"SIG-04 RS256", func(m *message) { m.protected = map[any]any{1: -257} }, cose.ErrUnsupportedAlgorithm},
		{"SIG-04 RS1", func(m *message) { m.protected = map[any]any{1: -65535} }, cose.ErrUnsupportedAlgorithm},
		{"HMAC 256", func(m *message) { m.protected = map[any]any{1: 5} }, cose.ErrUnsupportedAlgorithm},
		{"algorithm 0", func(m *message) { m.protected = map[any]any{1: 0} }, cose.ErrUnsupportedAlgorithm},
		{"algorithm by name", func(m *message) { m.protected = map[any]any{1: "ES256"} }, cose.ErrUnsupportedAlgorithm},
		{"algorithm of no kind", func(m *message) { m.protected = map[any]any{1: []byte("ES256")} }, cose.ErrMalformed},
		{"another algorithm of ours", func(m *message) { m.protected = map[any]any{1: -8} }, cose.ErrAlgorithm},
		{"ES384 with a key on P-256", func(m *message) { m.protected = map[any]any{1: -35} }, cose.ErrAlgorithm},
		{"CBOR-03 the same label twice", func(m *message) { m.protected = unhex(t, "a2 01 26 01 26") }, cose.ErrMalformed},
		{"CBOR-03 the same label twice, unprotected", func(m *message) { m.unprotected = cbor.RawMessage(unhex(t, "a2 05 41 00 05 41 00")) }, cose.ErrMalformed},
		{"CBOR-04 indefinite protected header", func(m *message) { m.protected = unhex(t, "bf 01 26 ff") }, cose.ErrMalformed},
		{"bytes after the protected header", func(m *message) { m.protected = unhex(t, "a1 01 26 00") }, cose.ErrMalformed},
		{"protected header is an array", func(m *message) { m.protected = []byte{0x80} }, cose.ErrMalformed},
		{"label that is no label", func(m *message) { m.protected = unhex(t, "a2 01 26 f5 00") }, cose.ErrMalformed},
		{"kid is a text", func(m *message) { m.protected = map[any]any{1: -7, 4: "kid"} }, cose.ErrMalformed},
		{"x5chain is a text", func(m *message) { m.unprotected = map[any]any{33: "cert"} }, cose.ErrMalformed},
		{"16 protected headers", func(m *message) { m.protected = manyHeaders(15) }, nil},
		{"17 protected headers", func(m *message) { m.protected = manyHeaders(16) }, cose.ErrTooLarge},
		{"17 unprotected headers", func(m *message) {
			h := manyHeaders(17)
			delete(h, 1)
			m.unprotected = h
		}, cose.ErrTooLarge},
		{"16 unprotected headers", func(m *message) {
			h := manyHeaders(16)
			delete(h, 1)
			m.unprotected = h
		}, nil},
		{"CBOR-01 deep header", func(m *message) {
			m.unprotected = cbor.RawMessage(append(append([]byte{0xa1, 0x18, 99}, bytes.Repeat([]byte{0x81}, 9000)...), 1))
		}, cose.ErrTooLarge},
		{"too large", func(m *message) { m.payload = make([]byte, 17<<10) }, cose.ErrTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := message{
				tags: []uint64{18}, protected: map[any]any{1: -7, 4: []byte("kid")}, unprotected: map[any]any{},
				payload: []byte("payload"), context: "Signature1",
			}
			tt.spoil(&m)
			parsed, err := cose.ParseSign1(m.sign(t, s))
			if err == nil {
				err = parsed.Verify(keys.ES256, s.Key().Public)
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// manyHeaders are an algorithm and n headers that nobody knows.
func manyHeaders(n int) map[any]any {
	h := map[any]any{1: -7}
	for i := range n {
		h[100+i] = i
	}
	return h
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestVerifyRefusesTheWrongKey(t *testing.T) {
	s := newSigner(t, keys.ES256)
	m, err := cose.ParseSign1(mustSign1(t, s, cose.Header{}, "payload"))
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"nothing at all": nil, "null": {0xf6}, "null in a tag": {0xd2, 0xf6}, "an empty array": {0xd2, 0x80}, "four times null": {0xd2, 0x84, 0xf6, 0xf6, 0xf6, 0xf6}} {
		if m, err := cose.ParseSign1(b); !errors.Is(err, cose.ErrMalformed) {
			t.Errorf("COSE-04 %s: %+v, %v, want ErrMalformed", name, m, err)
		}
	}
	tests := []struct {
		name string
		alg  keys.Algorithm
		pub  keys.PublicKey
		want error
	}{
		{"another key", keys.ES256, newSigner(t, keys.ES256).Key().Public, cose.ErrSignature},
		{"key on another curve", keys.ES256, newSigner(t, keys.ES384).Key().Public, cose.ErrAlgorithm},
		{"Ed25519 key", keys.ES256, newSigner(t, keys.EdDSA).Key().Public, cose.ErrAlgorithm},
		{"another algorithm expected", keys.EdDSA, s.Key().Public, cose.ErrAlgorithm},
		{"no algorithm expected", "", s.Key().Public, cose.ErrAlgorithm},
		{"no key", keys.ES256, keys.PublicKey{}, cose.ErrAlgorithm},
		{"neither", "", keys.PublicKey{}, cose.ErrAlgorithm},
	}
	for _, tt := range tests {
		if err := m.Verify(tt.alg, tt.pub); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

// What go-cose does by itself and what this package therefore does not leave to
// it. If one of these fails, the library has changed, and the check of ours it is
// about may have become a second one.
func TestLibraryTraps(t *testing.T) {
	s := newSigner(t, keys.ES256)
	verifier, err := gocose.NewVerifier(gocose.AlgorithmES256, s.Key().Public.Crypto())
	if err != nil {
		t.Fatal(err)
	}
	good := message{tags: []uint64{18}, protected: map[any]any{1: -7}, unprotected: map[any]any{}, payload: []byte("payload"), context: "Signature1"}
	library := func(m message) error {
		var lib gocose.Sign1Message
		if err := lib.UnmarshalCBOR(m.sign(t, s)); err != nil {
			return err
		}
		return lib.Verify(nil, verifier)
	}
	critical := good
	critical.protected = map[any]any{1: -7, 2: []any{99}, 99: 1}
	if err := library(critical); err != nil {
		t.Errorf("an unknown critical header: %v, the library verified it", err)
	}
	both := good
	both.protected, both.unprotected = map[any]any{1: -7, 4: []byte("a")}, map[any]any{4: []byte("b")}
	if err := library(both); err != nil {
		t.Errorf("kid in both buckets: %v, the library verified it", err)
	}
	if _, err := gocose.NewSigner(gocose.AlgorithmES256, newSigner(t, keys.ES384)); err != nil {
		t.Errorf("ES256 with a key on P-384: %v, the library took it", err)
	}
	if _, err := gocose.NewVerifier(gocose.AlgorithmES256, newSigner(t, keys.ES384).Key().Public.Crypto()); err != nil {
		t.Errorf("ES256 with a key on P-384: %v, the library took it", err)
	}
}

func TestDraft(t *testing.T) {
	s, other := newSigner(t, keys.ES256), newSigner(t, keys.ES256)
	pub := s.Key().Public
	d, err := cose.NewDraft(pub, cose.Header{Algorithm: keys.ES256}, []byte("payload"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.Sign(rand.Reader, s)
	if err != nil {
		t.Fatal(err)
	}
	m, err := cose.ParseSign1(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m.ToBeSigned(), d.ToBeSigned()) || m.Verify(keys.ES256, pub) != nil {
		t.Error("the message does not cover the draft")
	}
	if _, err := d.Sign(rand.Reader, other); err == nil {
		t.Error("signed with another key than the draft's")
	}
	if _, err := cose.NewDraft(pub, cose.Header{Algorithm: keys.EdDSA}, nil); !errors.Is(err, cose.ErrAlgorithm) {
		t.Errorf("header of another algorithm: %v", err)
	}
	if _, err := cose.NewDraft(keys.PublicKey{}, cose.Header{}, nil); !errors.Is(err, cose.ErrAlgorithm) {
		t.Errorf("no key: %v", err)
	}
}

// faulty answers for a key and signs as it likes.
type faulty struct {
	keys.Signer
	sign func([]byte, crypto.SignerOpts) ([]byte, error)
}

// Sign implements crypto.Signer.
func (f faulty) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return f.sign(digest, opts)
}

// A device that fails in whatever way must not lead to a message.
func TestSignRefusesFaultyDevices(t *testing.T) {
	answers := map[string]func([]byte, crypto.SignerOpts) ([]byte, error){
		"error":   func([]byte, crypto.SignerOpts) ([]byte, error) { return nil, errors.New("session closed") },
		"nothing": func([]byte, crypto.SignerOpts) ([]byte, error) { return nil, nil },
		"empty":   func([]byte, crypto.SignerOpts) ([]byte, error) { return []byte{}, nil },
		"garbage": func([]byte, crypto.SignerOpts) ([]byte, error) { return bytes.Repeat([]byte{0xff}, 70), nil },
		"huge numbers": func([]byte, crypto.SignerOpts) ([]byte, error) {
			return unhex(t, "3027 0221"+strings.Repeat("7f", 33)+"0202 0101"), nil
		},
		"negative": func([]byte, crypto.SignerOpts) ([]byte, error) { return unhex(t, "3006 0201ff 0201ff"), nil },
	}
	for _, alg := range []keys.Algorithm{keys.ES256, keys.EdDSA} {
		good := newSigner(t, alg)
		for name, sign := range answers {
			if b, err := cose.Sign1(rand.Reader, faulty{good, sign}, cose.Header{}, []byte("p")); err == nil {
				t.Errorf("%s, %s: %x, want an error", alg, name, b)
			}
			if b, err := cose.Sign(rand.Reader, []keys.Signer{good, faulty{good, sign}}, "a/b", []byte("p")); err == nil {
				t.Errorf("%s, %s: %x, want an error", alg, name, b)
			}
		}
		var hash crypto.SignerOpts
		_, _ = cose.Sign1(rand.Reader, faulty{good, func(_ []byte, o crypto.SignerOpts) ([]byte, error) { hash = o; return nil, nil }}, cose.Header{}, nil)
		if hash == nil || hash.HashFunc() != alg.Hash() {
			t.Errorf("%s: the device was told %v", alg, hash)
		}
	}
}

// SIG-02: a signature with -s for s verifies, too, and so nothing may be named by
// the bytes of a signature.
func TestSignatureIsNoName(t *testing.T) {
	s := newSigner(t, keys.ES256)
	m, err := cose.ParseSign1(mustSign1(t, s, cose.Header{}, "payload"))
	if err != nil {
		t.Fatal(err)
	}
	half := new(big.Int).SetBytes(m.Signature[32:])
	half.Sub(elliptic.P256().Params().N, half).FillBytes(m.Signature[32:])
	if err := m.Verify(keys.ES256, s.Key().Public); err != nil {
		t.Errorf("SIG-02: %v", err)
	}
}

func TestVectors(t *testing.T) {
	t.Run("mdoc", func(t *testing.T) {
		b := unhex(t, strings.TrimSpace(string(vectors.Read(t, "mdoc/cose/sign1/serialized.cbor.hex"))))
		secret := unhex(t, strings.TrimSpace(string(vectors.Read(t, "mdoc/cose/sign1/secret_key.hex"))))
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), secret)
		if err != nil {
			t.Fatal(err)
		}
		checkVector(t, b, mustPublic(t, keys.ES256, &key.PublicKey), "This is the content.")
		mac := unhex(t, strings.TrimSpace(string(vectors.Read(t, "mdoc/cose/mac0/serialized.cbor.hex"))))
		if m, err := cose.ParseSign1(mac); err == nil && m.Verify(keys.ES256, mustPublic(t, keys.ES256, &key.PublicKey)) == nil {
			t.Error("COSE-03: a MAC verifies as a signature")
		}
	})
	for _, name := range []string{"statuslist-cwt", "referenced-token-cwt"} {
		t.Run(name, func(t *testing.T) {
			var v struct {
				CWT       hexBytes        `json:"cwt_hex"`
				Payload   hexBytes        `json:"payload_hex"`
				Structure hexBytes        `json:"sig_structure_hex"`
				JWK       json.RawMessage `json:"jwk"`
			}
			if err := json.Unmarshal(vectors.Read(t, "status-list", name+".json"), &v); err != nil {
				t.Fatal(err)
			}
			pub, err := keys.ParseJWK(v.JWK)
			if err != nil {
				t.Fatal(err)
			}
			m := checkVector(t, v.CWT, pub, string(v.Payload))
			if !bytes.Equal(m.ToBeSigned(), v.Structure) {
				t.Errorf("ToBeSigned: %x, want %x", m.ToBeSigned(), v.Structure)
			}
			// The kid stands in the unprotected header: good enough for a hint.
			if string(m.KeyID()) != "12" || m.Protected.KeyID != nil || string(m.Unprotected.KeyID) != "12" {
				t.Errorf("kid %q", m.KeyID())
			}
			if want := map[string]any{"statuslist-cwt": "application/statuslist+cwt"}[name]; m.Protected.Type != want {
				t.Errorf("type %v, want %v", m.Protected.Type, want)
			}
		})
	}
	t.Run("VICAL", func(t *testing.T) {
		b := vectors.Read(t, "mdoc/vical/aamva-vical-2025-11-18-1763491092481.cbor")
		m, err := cose.ParseSign1Within(b, cbor.Bundle)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Unprotected.X5Chain) == 0 || m.Protected.X5Chain != nil {
			t.Fatalf("%d certificates in the unprotected header", len(m.Unprotected.X5Chain))
		}
		cert, err := x509.ParseCertificate(m.X5Chain()[0])
		if err != nil {
			t.Fatal(err)
		}
		pub := mustPublic(t, keys.ES256, cert.PublicKey)
		if err := m.Verify(pub.Algorithm(), pub); err != nil {
			t.Errorf("Verify: %v", err)
		}
	})
}

func checkVector(t *testing.T, b []byte, pub keys.PublicKey, payload string) *cose.Sign1Message {
	t.Helper()
	m, err := cose.ParseSign1(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Verify(pub.Algorithm(), pub); err != nil {
		t.Errorf("Verify: %v", err)
	}
	if string(m.Payload) != payload {
		t.Errorf("payload %x", m.Payload)
	}
	return m
}

func mustPublic(t *testing.T, alg keys.Algorithm, key crypto.PublicKey) keys.PublicKey {
	t.Helper()
	pub, err := keys.NewPublicKey(alg, key)
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

// FuzzParseSign1: nothing verifies by a key that did not sign it, nothing
// panics, and what was signed is what is read.
func FuzzParseSign1(f *testing.F) {
	s, stranger := newSigner(f, keys.ES256), newSigner(f, keys.ES256)
	f.Add(mustSign1(f, s, cose.Header{KeyID: []byte("12345678"), Type: int64(1), X5Chain: [][]byte{{1}, {2}}}, "payload"))
	f.Add(mustSign1(f, newSigner(f, keys.EdDSA), cose.Header{}, ""))
	boundtest.Fuzz(f, func(t *testing.T, b []byte) {
		m, err := cose.ParseSign1(b)
		if err != nil {
			return
		}
		if alg, err := m.Algorithm(); err == nil && m.Verify(alg, stranger.Key().Public) == nil {
			t.Fatal("verified by a key that signed nothing")
		}
		if len(m.ToBeSigned()) > len(b)+32 || !bytes.Contains(b, m.Payload) {
			t.Fatal("the signature covers what is not in the message")
		}
	})
}

// Headers that have no field of their own: written into the protected header, or in
// place of the unprotected one, and read back by label.
func TestMoreHeaders(t *testing.T) {
	s := newSigner(t, keys.ES256)
	b := mustSign1(t, s, cose.Header{KeyID: []byte("kid"), Type: int64(294), More: map[int64]any{13: []any{1, "x"}}}, "payload")
	changed, err := cose.WithUnprotected(b, map[int64]any{17: [][]byte{{1}, {2}}})
	if err != nil {
		t.Fatal(err)
	}
	before, err := cose.ParseSign1(b)
	if err != nil {
		t.Fatal(err)
	}
	m, err := cose.ParseSign1(changed)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Verify(keys.ES256, s.Key().Public); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(m.ToBeSigned(), before.ToBeSigned()) || before.Item(cose.Unprotected, 17) != nil {
		t.Error("the signed part has changed")
	}
	if got := m.Item(cose.Protected, 13); !bytes.Equal(got, marshal(t, []any{1, "x"})) {
		t.Errorf("protected 13: %x", got)
	}
	if got := m.Item(cose.Unprotected, 17); !bytes.Equal(got, marshal(t, [][]byte{{1}, {2}})) {
		t.Errorf("unprotected 17: %x", got)
	}
	if m.Item(cose.Protected, 17) != nil || m.Item(cose.Unprotected, 13) != nil || m.Protected.Type != int64(294) || string(m.Protected.KeyID) != "kid" {
		t.Error("headers in the wrong place")
	}
	if again, err := cose.WithUnprotected(changed, nil); err != nil || !bytes.Equal(again, b) {
		t.Errorf("without them again: %x, %v, want %x", again, err, b)
	}
	if _, err := cose.Sign1(rand.Reader, s, cose.Header{KeyID: []byte("kid"), More: map[int64]any{4: []byte("other")}}, []byte("x")); err == nil {
		t.Error("a label given twice was written")
	}
	if _, err := cose.WithUnprotected([]byte{0x84}, nil); !errors.Is(err, cose.ErrMalformed) {
		t.Errorf("WithUnprotected: %v, want ErrMalformed", err)
	}
	// One that stands in both buckets is refused when it is read.
	both, err := cose.WithUnprotected(b, map[int64]any{13: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cose.ParseSign1(both); !errors.Is(err, cose.ErrMalformed) {
		t.Errorf("a label in both buckets: %v", err)
	}
}
