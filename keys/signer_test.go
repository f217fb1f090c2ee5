package keys_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
)

// swapped is a signer that answers for another key, as a confused HSM does.
type swapped struct {
	keys.Signer
	other crypto.PublicKey
}

func (s swapped) Public() crypto.PublicKey { return s.other }

func TestCheckSignerRefuses(t *testing.T) {
	k := keystest.Key(t, keys.Credential, keys.ES256, "a")
	private := keystest.Private(t, keys.ES256, "a")
	with := func(change func(*keys.Key)) keys.Signer {
		k := k
		change(&k)
		s, err := keys.NewSigner(k, private)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if err := keys.CheckSigner(with(func(*keys.Key) {}), keys.Credential, now); err != nil {
		t.Fatalf("the good signer: %v", err)
	}
	for name, tt := range map[string]struct {
		signer  keys.Signer
		purpose keys.Purpose
		want    error
	}{
		"KEY-08 a status key asked for a credential":      {with(func(k *keys.Key) { k.Purpose = keys.StatusList }), keys.Credential, keys.ErrPurpose},
		"KEY-08 a credential key asked for a status list": {with(func(*keys.Key) {}), keys.StatusList, keys.ErrPurpose},
		"KEY-08 a credential key asked for a bundle":      {with(func(*keys.Key) {}), keys.TrustBundle, keys.ErrPurpose},
		"KEY-08 a bundle key asked for a root":            {with(func(k *keys.Key) { k.Purpose = keys.TrustBundle }), keys.TrustRoot, keys.ErrPurpose},
		"KEY-08 a key without a purpose":                  {with(func(k *keys.Key) { k.Purpose = "" }), keys.Credential, keys.ErrPurpose},
		"KEY-05 planned":                                  {with(func(k *keys.Key) { k.State = keys.Planned }), keys.Credential, keys.ErrNotActive},
		"KEY-05 retired":                                  {with(func(k *keys.Key) { k.State = keys.Retired }), keys.Credential, keys.ErrNotActive},
		"KEY-05 compromised":                              {with(func(k *keys.Key) { k.State = keys.Compromised }), keys.Credential, keys.ErrNotActive},
		"KEY-05 no state":                                 {with(func(k *keys.Key) { k.State = "" }), keys.Credential, keys.ErrNotActive},
		"KEY-05 never published":                          {with(func(k *keys.Key) { k.Published = k.VerifyUntil }), keys.Credential, keys.ErrNotPublished},
		"KEY-05 published tomorrow":                       {with(func(k *keys.Key) { k.Published = now.AddDate(0, 0, 1) }), keys.Credential, keys.ErrNotPublished},
		"KEY-05 window not open":                          {with(func(k *keys.Key) { k.SignFrom = now.AddDate(0, 0, 1) }), keys.Credential, keys.ErrSignWindow},
		"KEY-05 window closed this second":                {with(func(k *keys.Key) { k.SignUntil = now }), keys.Credential, keys.ErrSignWindow},
		"KEY-05 window without an end":                    {with(func(k *keys.Key) { k.SignUntil = k.VerifyUntil }), keys.Credential, keys.ErrSignWindow},
		"no signer":                                       {nil, keys.Credential, keys.ErrNoKey},
		"SIG-09 the neighbour key answers":                {swapped{with(func(*keys.Key) {}), keystest.Private(t, keys.ES256, "b").Public()}, keys.Credential, keys.ErrMismatch},
		"SIG-09 a key of another kind answers":            {swapped{with(func(*keys.Key) {}), keystest.Private(t, keys.EdDSA, "a").Public()}, keys.Credential, keys.ErrMismatch},
	} {
		if err := keys.CheckSigner(tt.signer, tt.purpose, now); !errors.Is(err, tt.want) {
			t.Errorf("%s: CheckSigner: %v, want %v", name, err, tt.want)
		}
	}
	for _, of := range keys.Purposes() {
		for _, asked := range keys.Purposes() {
			want := keys.ErrPurpose
			if of == asked {
				want = nil
			}
			if err := keys.CheckSigner(with(func(k *keys.Key) { k.Purpose = of }), asked, now); !errors.Is(err, want) {
				t.Errorf("KEY-08 a key for %s asked for %s: %v, want %v", of, asked, err, want)
			}
		}
	}
	if err := keys.CheckSigner(with(func(k *keys.Key) { k.Purpose = "tls" }), "tls", now); err == nil {
		t.Error("CheckSigner took a purpose that does not exist")
	}
	if err := keys.CheckSigner(with(func(*keys.Key) {}), keys.Credential, k.VerifyUntil); err == nil {
		t.Error("CheckSigner took no time at all")
	}
}

func TestNewSignerRefuses(t *testing.T) {
	k := keystest.Key(t, keys.Credential, keys.ES256, "a")
	for name, s := range map[string]crypto.Signer{
		"SIG-09 the neighbour key": keystest.Private(t, keys.ES256, "b"),
		"a key on another curve":   keystest.Private(t, keys.ES384, "a"),
		"a key of another kind":    keystest.Private(t, keys.EdDSA, "a"),
		"nothing":                  nil,
	} {
		if got, err := keys.NewSigner(k, s); !errors.Is(err, keys.ErrMismatch) {
			t.Errorf("%s: NewSigner: %v, %v, want ErrMismatch", name, got, err)
		}
	}
	if got, err := keys.NewSigner(keys.Key{}, keystest.Private(t, keys.ES256, "a")); !errors.Is(err, keys.ErrMismatch) {
		t.Errorf("no key: NewSigner: %v, %v, want ErrMismatch", got, err)
	}
}

// TestECDSAIsHedged signs one digest twice without giving randomness: equal
// signatures would mean deterministic ones, whose faults give the key away.
func TestECDSAIsHedged(t *testing.T) {
	s := keystest.Signer(t, keys.Credential, keys.ES256, "a")
	digest := make([]byte, 32)
	a, err := s.Sign(nil, digest, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Sign(nil, digest, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(a, b) {
		t.Error("two signatures of one digest are equal")
	}
}

// secretsOf is every way in which a test would recognise a private key.
func secretsOf(t *testing.T, alg keys.Algorithm, name string) []string {
	t.Helper()
	var raw []byte
	switch private := keystest.Private(t, alg, name).(type) {
	case *ecdsa.PrivateKey:
		b, err := private.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		raw = b
	case ed25519.PrivateKey:
		raw = private.Seed()
	}
	return []string{
		hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)),
		base64.StdEncoding.EncodeToString(raw)[:40], base64.RawURLEncoding.EncodeToString(raw)[:40],
		string(raw), strings.Trim(fmt.Sprint(raw), "[]"), decimal(raw),
	}
}

// decimal is how %v shows a big number.
func decimal(b []byte) string { return fmt.Sprint(newInt(b)) }

// prints returns v in every way in which a program could write it out.
func prints(v any) string {
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%U", "%t", "%e", "%p"} {
		fmt.Fprintf(&out, verb+"\n", v)
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("printed", "value", v, "list", []any{v}, slog.Group("g", "value", v))
	}
	b, err := json.Marshal(v)
	fmt.Fprintf(&out, "%s %v\n", b, err)
	return out.String()
}

// TestKeyMaterialDoesNotPrint wraps everything that holds private keys in every
// way that hides its methods from fmt, and looks for the keys.
func TestKeyMaterialDoesNotPrint(t *testing.T) {
	for _, alg := range keys.Algorithms() {
		s := keystest.Signer(t, keys.Credential, alg, "canary")
		type exported struct{ Signer keys.Signer }
		type hidden struct {
			signer keys.Signer
			public keys.PublicKey
			key    keys.Key
		}
		out := prints(s) + prints(exported{s}) + prints(&exported{s}) +
			prints(hidden{s, s.Key().Public, s.Key()}) + prints(&hidden{s, s.Key().Public, s.Key()}) +
			prints([]keys.Signer{s}) + prints(map[string]keys.Signer{"k": s}) + prints(s.Key()) + prints(s.Key().Public)
		for i, secret := range secretsOf(t, alg, "canary") {
			if strings.Contains(out, secret) {
				t.Errorf("%s: the private key prints (way %d)", alg, i)
			}
		}
		if name := fmt.Sprint(s); name != "signer of credential key "+s.Key().ID().String()+" (active)" {
			t.Errorf("%s: String: %q", alg, name)
		}
		if b, err := json.Marshal(s); err == nil {
			t.Errorf("a signer has the JSON form %s", b)
		}
	}
}

func TestKeystoreDoesNotPrint(t *testing.T) {
	f := keystest.File(t)
	k, err := keys.Bootstrap(t.Context(), f, keys.Spec{Purpose: keys.Credential, Created: now})
	if err != nil {
		t.Fatal(err)
	}
	secret, err := f.Secret("canary")
	if err != nil {
		t.Fatal(err)
	}
	type hidden struct{ f *keys.File }
	type bare keys.File // without the methods
	out := prints(f) + prints(hidden{f}) + prints(&hidden{f}) + prints((*bare)(f))
	// The encrypted file may print; what is in it may not.
	for name, word := range map[string]string{
		"a word of its JSON":  `"private"`,
		"a word of its state": "sign_until",
		"a derived secret":    hex.EncodeToString(secret),
	} {
		if strings.Contains(out, word) {
			t.Errorf("%s prints", name)
		}
	}
	if got := fmt.Sprintf("%+v", f); got != "keystore "+f.Path() {
		t.Errorf("String: %q", got)
	}
	if b, err := json.Marshal(f); err == nil {
		t.Errorf("a keystore has the JSON form %s", b)
	}
	s, err := f.Signer(t.Context(), k.ID())
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%+v %#v %x", s, s, s); strings.Count(got, "signer of") != 3 {
		t.Errorf("a signer prints as %q", got)
	}
}

// faulty answers with whatever fault says. It shows that tests can build broken
// signers on NewSigner.
type faulty struct {
	crypto.Signer
	fault func([]byte) ([]byte, error)
}

func (f faulty) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	sig, err := f.Signer.Sign(r, digest, opts)
	if err != nil {
		return nil, err
	}
	return f.fault(sig)
}

func TestFaultySigner(t *testing.T) {
	broken := errors.New("broken")
	k := keystest.Key(t, keys.Credential, keys.EdDSA, "a")
	s, err := keys.NewSigner(k, faulty{keystest.Private(t, keys.EdDSA, "a"), func([]byte) ([]byte, error) { return nil, broken }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sign(nil, []byte("m"), crypto.Hash(0)); !errors.Is(err, broken) {
		t.Errorf("Sign: %v, want the fault", err)
	}
}

func BenchmarkCheckSigner(b *testing.B) {
	f := keystest.File(b)
	k, err := keys.Bootstrap(b.Context(), f, keys.Spec{Purpose: keys.Credential, Created: now})
	if err != nil {
		b.Fatal(err)
	}
	s, err := f.Signer(b.Context(), k.ID())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := keys.CheckSigner(s, keys.Credential, now); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseCOSEKey(b *testing.B) {
	for _, alg := range keys.Algorithms() {
		raw := public(b, alg, "bench").COSEKey()
		b.Run(string(alg), func(b *testing.B) {
			for b.Loop() {
				if _, err := keys.ParseCOSEKey(raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkFileSigner(b *testing.B) {
	f := keystest.File(b)
	k, err := keys.Bootstrap(b.Context(), f, keys.Spec{Purpose: keys.Credential, Created: now})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := f.Signer(b.Context(), k.ID()); err != nil {
			b.Fatal(err)
		}
	}
}
