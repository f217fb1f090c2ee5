package sdjwt

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
)

// A Token is what a credential shall say.
type Token struct {
	// Issuer is the identifier of the issuer: the one in the trust bundle, and an
	// https URL if wallets shall find its keys.
	Issuer string
	// Type is the vct.
	Type string
	// TypeIntegrity is the hash of the type metadata as vct#integrity has it; see
	// [Integrity]. Optional.
	TypeIntegrity string
	// IssuedAt must be set. NotBefore and Expires may be zero: valid at once, and
	// without end. Times have whole seconds.
	IssuedAt, NotBefore, Expires time.Time
	// Status is where a revocation will stand; nil leaves a credential that can
	// never be revoked.
	Status *credential.StatusRef
	// Holder is the key the credential is bound to; nil for one that anyone may
	// show.
	Holder *keys.PublicKey
	// Claims are the claims of the type by name. Values are string, int64, int, bool,
	// float64, []any or map[string]any. One that is wrapped in [Hidden] can be left
	// out by the holder, members and elements at any depth included; all others are
	// always shown.
	Claims map[string]any
	// Decoys is how many digests that stand for nothing are added wherever there are
	// hidden members, so that their number tells less. Optional, at most 64.
	Decoys int
	// X5C is the certificate chain of the issuer's key in DER, the key's own first
	// and without the root. Optional.
	X5C [][]byte
}

// Hidden is a claim or an array element that the holder need not show. What is
// inside of it may be Hidden again.
type Hidden struct{ Value any }

// saltSize is the size of a salt in bytes (RFC 9901 section 9.3: at least 128 bits).
const saltSize = 16

// A Draft is a credential before its signature.
type Draft struct {
	jose        *jose.Draft
	disclosures []string
}

// NewDraft checks that the token may be issued, makes its disclosures, and fixes the
// exact bytes that the key shall sign. A token that may not be issued gives an error
// that is [ErrNotIssuable] and names the claim, never its value. Rnd gives the salts;
// nil takes the system's source.
func NewDraft(rnd io.Reader, t Token, issuerKey keys.PublicKey) (*Draft, error) {
	if err := t.lint(); err != nil {
		return nil, err
	}
	if rnd == nil {
		rnd = rand.Reader
	}
	c := concealer{rnd: rnd, decoys: t.Decoys}
	payload, err := c.object(t.Claims)
	if err != nil {
		return nil, err
	}
	if len(c.disclosures) > MaxDisclosures {
		return nil, notIssuable("%d claims that can be left out, at most %d", len(c.disclosures), MaxDisclosures)
	}
	t.register(payload, len(c.disclosures) > 0)
	b, err := strict.AppendJSON(nil, payload)
	if err != nil {
		return nil, notIssuable("%v", err)
	}
	d, err := jose.NewDraft(issuerKey, jose.Header{Type: Typ, KeyID: issuerKey.ID().String(), X5C: t.X5C}, b)
	if err != nil {
		return nil, err
	}
	size := len(d.ToBeSigned()) + 2 + issuerKey.Algorithm().SignatureSize()*4/3 + 2
	for _, text := range c.disclosures {
		size += len(text) + 1
	}
	// Room for what a holder adds.
	if size > MaxSize-maxBinding {
		return nil, notIssuable("%d bytes, at most %d", size, MaxSize-maxBinding)
	}
	return &Draft{d, c.disclosures}, nil
}

// register adds the registered claims to a payload.
func (t Token) register(payload map[string]any, hides bool) {
	payload["iss"], payload["vct"], payload["iat"] = t.Issuer, t.Type, t.IssuedAt.Unix()
	if t.TypeIntegrity != "" {
		payload["vct#integrity"] = t.TypeIntegrity
	}
	if !t.NotBefore.IsZero() {
		payload["nbf"] = t.NotBefore.Unix()
	}
	if !t.Expires.IsZero() {
		payload["exp"] = t.Expires.Unix()
	}
	if t.Status != nil {
		payload["status"] = map[string]any{"status_list": map[string]any{"idx": int64(t.Status.Index), "uri": t.Status.URI}}
	}
	if hides {
		payload[nameAlgorithm] = "sha-256"
	}
	if t.Holder != nil {
		payload["cnf"] = map[string]any{"jwk": strict.Raw(t.Holder.BareJWK())}
	}
}

// A concealer replaces what is [Hidden] by digests.
type concealer struct {
	rnd         io.Reader
	decoys      int
	disclosures []string
	pool        [16 * saltSize]byte // random bytes
	left        int                 // of pool that were not used yet
	scratch     []byte              // for one disclosure at a time
}

// random returns n random bytes, to be used before the next call.
func (c *concealer) random(n int) ([]byte, error) {
	if c.left < n {
		if _, err := io.ReadFull(c.rnd, c.pool[:]); err != nil {
			return nil, fmt.Errorf("sdjwt: read random bytes: %w", err)
		}
		c.left = len(c.pool)
	}
	b := c.pool[c.left-n : c.left]
	c.left -= n
	return b, nil
}

// value returns v with digests in place of what is hidden inside of it.
func (c *concealer) value(v any) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		return c.object(v)
	case []any:
		return c.array(v)
	}
	return v, nil
}

func (c *concealer) object(m map[string]any) (map[string]any, error) {
	out := make(map[string]any, len(m)+8)
	var digests []string
	for _, name := range strict.Names(m) {
		hidden, ok := m[name].(Hidden)
		if !ok {
			v, err := c.value(m[name])
			if err != nil {
				return nil, err
			}
			out[name] = v
			continue
		}
		d, err := c.disclose(name, false, hidden)
		if err != nil {
			return nil, err
		}
		digests = append(digests, d)
	}
	if digests == nil {
		return out, nil
	}
	for range c.decoys {
		b, err := c.random(2 * saltSize)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(b)
		digests = append(digests, strict.Base64URL(sum[:]))
	}
	// In the order of the digests, which says nothing of the order of the claims
	// (RFC 9901 section 4.2.4.1).
	slices.Sort(digests)
	out[nameDigests] = strict.Raw(`["` + strings.Join(digests, `","`) + `"]`)
	return out, nil
}

func (c *concealer) array(list []any) ([]any, error) {
	out := make([]any, len(list))
	for i, e := range list {
		hidden, ok := e.(Hidden)
		if !ok {
			v, err := c.value(e)
			if err != nil {
				return nil, err
			}
			out[i] = v
			continue
		}
		d, err := c.disclose("", true, hidden)
		if err != nil {
			return nil, err
		}
		out[i] = map[string]any{nameSlot: d}
	}
	return out, nil
}

// disclose makes the disclosure of a claim with this name, or of an array element,
// and returns its digest (RFC 9901 section 4.2).
func (c *concealer) disclose(name string, element bool, h Hidden) (string, error) {
	v, err := c.value(h.Value)
	if err != nil {
		return "", err
	}
	salt, err := c.random(saltSize)
	if err != nil {
		return "", err
	}
	b := append(c.scratch[:0], `["`...)
	b = append(strict.AppendBase64URL(b, salt), `",`...)
	if !element {
		if b, err = strict.AppendText(b, name); err != nil {
			return "", notIssuable("%v", err)
		}
		b = append(b, ',')
	}
	if b, err = strict.AppendJSON(b, v); err != nil {
		return "", notIssuable("%v", err)
	}
	b = append(b, ']')
	end := len(b)
	b = strict.AppendBase64URL(b, b) // behind what it encodes, in the same memory
	c.scratch = b
	text := string(b[end:])
	c.disclosures = append(c.disclosures, text)
	return digest(crypto.SHA256, text), nil
}

// ToBeSigned returns the exact bytes that the signature will cover. They hold the
// digest of every disclosure, and must not be changed.
func (d *Draft) ToBeSigned() []byte { return d.jose.ToBeSigned() }

// Hash is the SHA-256 of ToBeSigned: what an issuer stores before it signs.
func (d *Draft) Hash() [sha256.Size]byte { return sha256.Sum256(d.ToBeSigned()) }

// Sign signs the draft with the signer of its key, which must be a credential key
// that may sign at the time now. It returns the SD-JWT with all disclosures and does
// not check the signature; see [Check].
func (d *Draft) Sign(rnd io.Reader, s keys.Signer, now time.Time) (string, error) {
	if err := keys.CheckSigner(s, keys.Credential, now); err != nil {
		return "", err
	}
	b, err := d.jose.Sign(rnd, s)
	if err != nil {
		return "", err
	}
	size := len(b) + 1
	for _, text := range d.disclosures {
		size += len(text) + 1
	}
	var out strings.Builder
	out.Grow(size)
	out.Write(b)
	out.WriteByte('~')
	for _, text := range d.disclosures {
		out.WriteString(text)
		out.WriteByte('~')
	}
	return out.String(), nil
}

// ErrNotAsDrafted: the credential does not hold what was drafted, or its signature is
// not by the key it was drafted for. It must not be handed out.
var ErrNotAsDrafted = errors.New("sdjwt: the signed credential is not what was drafted")

// Check is the issuer's look at its own work before anybody else sees it: the
// credential covers exactly the bytes with this hash, every disclosure belongs to
// them, and the published key verifies it.
func Check(issued string, published keys.PublicKey, hash [sha256.Size]byte) error {
	t, err := read(issued, func(jwt string) (*jose.Message, error) {
		return jose.Parse(jwt, jose.Expect{Types: []string{Typ}, MaxBytes: MaxSize})
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotAsDrafted, err)
	}
	if sha256.Sum256(t.message.ToBeSigned()) != hash || t.binding != "" {
		return fmt.Errorf("%w: other bytes were signed", ErrNotAsDrafted)
	}
	if err := t.message.Verify(published.Algorithm(), published); err != nil {
		return fmt.Errorf("%w: %w", ErrNotAsDrafted, err)
	}
	if _, err := t.open(false); err != nil {
		return fmt.Errorf("%w: %w", ErrNotAsDrafted, err)
	}
	return nil
}
