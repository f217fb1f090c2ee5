package audit_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/keys"
)

func TestCheckpoint(t *testing.T) {
	m, s := history(t, 1000), newSigner(t, 1)
	signed := checkpoint(t, m, 1000, s)
	head, err := audit.HeadAt(m, 1000)
	if err != nil {
		t.Fatal(err)
	}
	text := origin + "\n1000\n" + head.Root.String() + "\n\n\u2014 " + origin + " "
	if !strings.HasPrefix(string(signed), text) {
		t.Errorf("checkpoint:\n%s\nwant it to begin with\n%s", signed, text)
	}
	c, err := audit.OpenCheckpoint(signed, vkey(t, s))
	if err != nil {
		t.Fatal(err)
	}
	if c.Origin != origin || c.Head != head || len(c.Signers) != 1 || c.Unknown != 0 {
		t.Errorf("OpenCheckpoint: %+v", c)
	}
	// What x/mod makes of key and note is what we make of them.
	v, err := note.NewVerifier(strings.TrimSpace(vkey(t, s)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.Open(signed, note.VerifierList(v)); err != nil {
		t.Errorf("note.Open: %v", err)
	}
	// A witness adds its signature; the checkpoint stays good.
	skey, wkey, err := note.GenerateKey(rand.Reader, "witness.example")
	if err != nil {
		t.Fatal(err)
	}
	w, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(signed, note.VerifierList(v))
	if err != nil {
		t.Fatal(err)
	}
	both, err := note.Sign(n, w)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := audit.OpenCheckpoint(both, vkey(t, s)); err != nil || c.Unknown != 1 || c.Head != head {
		t.Errorf("with a witness: %+v, %v", c, err)
	}
	if c, err := audit.OpenCheckpoint(both, wkey); err == nil {
		t.Errorf("signed for by the witness alone: %+v", c)
	}
}

// TestEveryKeyIsReadBack is for the "+" that the base64 of every second key has.
func TestEveryKeyIsReadBack(t *testing.T) {
	m := history(t, 3)
	for seed := range 200 {
		s := newSigner(t, byte(seed))
		if _, err := audit.OpenCheckpoint(checkpoint(t, m, 3, s), vkey(t, s)); err != nil {
			t.Fatalf("key %s: %v", strings.TrimSpace(vkey(t, s)), err)
		}
	}
}

func TestSignCheckpointRefuses(t *testing.T) {
	m := history(t, 3)
	head, err := audit.HeadAt(m, 3)
	if err != nil {
		t.Fatal(err)
	}
	at := start.Add(time.Hour)
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		origin string
		at     time.Time
		signer keys.Signer
		want   error
	}{
		{"KEY-08 a credential key", origin, at, newSigner(t, 1, func(k *keys.Key) { k.Purpose = keys.Credential }), keys.ErrPurpose},
		{"KEY-08 a status list key", origin, at, newSigner(t, 1, func(k *keys.Key) { k.Purpose = keys.StatusList }), keys.ErrPurpose},
		{"KEY-05 after the window", origin, start.AddDate(5, 0, 0), newSigner(t, 1), keys.ErrSignWindow},
		{"KEY-05 not published", origin, at, newSigner(t, 1, func(k *keys.Key) { k.Published = time.Time{} }), keys.ErrNotPublished},
		{"a retired key", origin, at, newSigner(t, 1, func(k *keys.Key) { k.State = keys.Retired }), keys.ErrNotActive},
		{"no key", origin, at, nil, keys.ErrNoKey},
		{"a blank in the origin", "sanad example", at, newSigner(t, 1), nil},
		{"a plus in the origin", "sanad+1", at, newSigner(t, 1), nil},
		{"a line break in the origin", "sanad\n9", at, newSigner(t, 1), nil},
		{"no origin", "", at, newSigner(t, 1), nil},
		{"an ES256 key", origin, at, ecdsaSigner(t, p256), nil},
		{"P18 flips a bit", origin, at, faulty{newSigner(t, 1), func(b []byte) []byte { b[5] ^= 4; return b }}, nil},
		{"P18 returns nothing", origin, at, faulty{newSigner(t, 1), func([]byte) []byte { return nil }}, nil},
		{"P18 returns an old signature", origin, at, faulty{newSigner(t, 1), func([]byte) []byte {
			b, _ := newSigner(t, 1).Sign(nil, []byte("old"), crypto.Hash(0))
			return b
		}}, nil},
		{"P18 uses another key", origin, at, faulty{newSigner(t, 1), func(b []byte) []byte {
			b, _ = newSigner(t, 2).Sign(nil, b, crypto.Hash(0))
			return b
		}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := audit.SignCheckpoint(tt.origin, head, tt.at, tt.signer)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("SignCheckpoint: %q, %v, want %v", b, err, tt.want)
			}
		})
	}
}

func ecdsaSigner(t *testing.T, private *ecdsa.PrivateKey) keys.Signer {
	t.Helper()
	pub, err := keys.PublicKeyOf(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	s, err := keys.NewSigner(keys.Key{
		Public: pub, Purpose: keys.Audit, State: keys.Active, Created: start, Published: start,
		SignFrom: start, SignUntil: start.AddDate(1, 0, 0),
	}, private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A faulty signer spoils what a good one returns.
type faulty struct {
	keys.Signer
	spoil func([]byte) []byte
}

func (f faulty) Sign(rnd io.Reader, msg []byte, opts crypto.SignerOpts) ([]byte, error) {
	b, err := f.Signer.Sign(rnd, msg, opts)
	return f.spoil(b), err
}

func TestOpenCheckpointRefuses(t *testing.T) {
	m, s := history(t, 1000), newSigner(t, 1)
	good, known := string(checkpoint(t, m, 1000, s)), vkey(t, s)
	lines := strings.SplitAfter(good, "\n")
	resigned := func(text string) string {
		v, err := note.NewVerifier(strings.TrimSpace(known))
		if err != nil {
			t.Fatal(err)
		}
		b, err := note.Sign(&note.Note{Text: text}, anySigner{v, s})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	root := strings.TrimSpace(lines[2])
	if _, err := audit.OpenCheckpoint([]byte(resigned(lines[0]+lines[1]+lines[2]+"an extension\n")), known); err != nil {
		t.Errorf("an extension line: %v", err)
	}
	tests := []struct{ name, signed, known string }{
		{"nothing", "", known},
		{"without its signature", lines[0] + lines[1] + lines[2] + "\n", known},
		{"another size", strings.Replace(good, "\n1000\n", "\n1001\n", 1), known},
		{"another origin", strings.Replace(good, origin, "sanad.example/other", 1), known},
		{"another key", good, vkey(t, newSigner(t, 2))},
		{"loose base64 in the signature", good[:len(good)-3] + next(good[len(good)-3]) + "=\n", known},
		{"its signature twice", good + lines[4], known},
		{"cut short", good[:len(good)-1], known},
		{"Windows line ends", strings.ReplaceAll(good, "\n", "\r\n"), known},
		{"a checkpoint of 64 KiB", good + strings.Repeat("\u2014 w AAAAAAAA\n", 9000), known},
		{"signed, two lines only", resigned(origin + "\n1000\n"), known},
		{"signed, no origin", resigned("\n1000\n" + root + "\n"), known},
		{"signed, leading zero", resigned(origin + "\n01000\n" + root + "\n"), known},
		{"signed, negative size", resigned(origin + "\n-1\n" + root + "\n"), known},
		{"signed, plus sign", resigned(origin + "\n+1000\n" + root + "\n"), known},
		{"signed, size too large", resigned(origin + "\n9223372036854775808\n" + root + "\n"), known},
		{"signed, short root", resigned(origin + "\n1000\nAAAA\n"), known},
		{"signed, loose base64 in the root", resigned(origin + "\n1000\n" + root[:42] + next(root[42]) + "=\n"), known},
		{"signed, of another log", resigned("sanad.example/other\n1000\n" + root + "\n"), known},
		{"no key", good, ""},
		{"key in capitals", good, upperHash(known)},
		{"key twice", good, known + known},
		{"key with a carriage return", good, strings.Replace(known, "\n", "\r\n", 1)},
		{"a blank line among the keys", good, known + "\n"},
		{"key cut short", good, known[:len(known)-3]},
		{"65 keys", good, manyKeys(t)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if c, err := audit.OpenCheckpoint([]byte(tt.signed), tt.known); err == nil {
				t.Errorf("opened as %+v", c)
			}
		})
	}
}

// next is the base64 digit after c: another text for the same bytes where c
// carries unused bits.
func next(c byte) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	return string(digits[strings.IndexByte(digits, c)+1])
}

// upperHash writes the hash of a verifier key in capitals.
func upperHash(vkey string) string {
	parts := strings.SplitN(vkey, "+", 3)
	return parts[0] + "+" + strings.ToUpper(parts[1]) + "+" + parts[2]
}

func manyKeys(t *testing.T) string {
	var all strings.Builder
	for i := range 65 {
		all.WriteString(vkey(t, newSigner(t, byte(i))))
	}
	return all.String()
}

// anySigner signs whatever text it gets.
type anySigner struct {
	note.Verifier
	signer keys.Signer
}

func (s anySigner) Sign(msg []byte) ([]byte, error) { return s.signer.Sign(nil, msg, crypto.Hash(0)) }

func FuzzOpenCheckpoint(f *testing.F) {
	m, s := history(f, 20), newSigner(f, 1)
	good := checkpoint(f, m, 20, s)
	f.Add(good, vkey(f, s))
	f.Add([]byte("a\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n\u2014 a AAAAAAAA\n"), "a+00000000+AAAA\n")
	mine := vkey(f, s)
	boundtest.Fuzz(f, func(t *testing.T, signed []byte, vkeys string) {
		_, _ = audit.OpenCheckpoint(signed, vkeys)
		if c, err := audit.OpenCheckpoint(signed, mine); err == nil && string(signed) != string(good) && c.Unknown == 0 {
			t.Fatalf("%q was never signed", signed)
		}
	})
}
