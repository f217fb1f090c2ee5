package sdjwt

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
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
	jose  *jose.Draft
	shown []byte // the disclosures, each followed by ~
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
	c := concealers.Get().(*concealer)
	defer c.done()
	c.rnd, c.decoys = rnd, t.Decoys
	payload, err := c.object(c.payload[:0], t.Claims, &t)
	if err != nil {
		return nil, err
	}
	c.payload = payload
	if c.count > MaxDisclosures {
		return nil, notIssuable("%d claims that can be left out, at most %d", c.count, MaxDisclosures)
	}
	d, err := jose.NewDraft(issuerKey, jose.Header{Type: Typ, KeyID: issuerKey.ID().String(), X5C: t.X5C}, payload)
	if err != nil {
		return nil, err
	}
	// Room for what a holder adds.
	size := len(d.ToBeSigned()) + 2 + issuerKey.Algorithm().SignatureSize()*4/3 + 2 + len(c.shown)
	if size > MaxSize-maxBinding {
		return nil, notIssuable("%d bytes, at most %d", size, MaxSize-maxBinding)
	}
	return &Draft{d, bytes.Clone(c.shown)}, nil
}

// A member is one of an object that is written: text, if value is nil and text is not
// empty; a number if both are.
type member struct {
	name   string
	value  any
	text   string
	number int64
}

// digestsFrom is the value of a member that holds the digests from this place on.
type digestsFrom int

// register adds the registered claims to the members of a payload, in the order of their
// names.
func (t *Token) register(payload []member) []member {
	text := func(name, s string) { payload = append(payload, member{name: name, text: s}) }
	date := func(name string, at time.Time) { payload = append(payload, member{name: name, number: at.Unix()}) }
	if t.Holder != nil {
		payload = append(payload, member{name: "cnf", value: t.Holder})
	}
	if !t.Expires.IsZero() {
		date("exp", t.Expires)
	}
	date("iat", t.IssuedAt)
	text("iss", t.Issuer)
	if !t.NotBefore.IsZero() {
		date("nbf", t.NotBefore)
	}
	if t.Status != nil {
		payload = append(payload, member{name: "status", value: t.Status})
	}
	text("vct", t.Type)
	if t.TypeIntegrity != "" {
		text("vct#integrity", t.TypeIntegrity)
	}
	return payload
}

// appendStatus appends the claim status (Token Status List, section 6.1).
func appendStatus(dst []byte, ref *credential.StatusRef) ([]byte, error) {
	dst = strconv.AppendUint(append(dst, `{"status_list":{"idx":`...), ref.Index, 10)
	dst, err := strict.AppendText(append(dst, `,"uri":`...), ref.URI)
	return append(dst, "}}"...), err
}

// An encodedDigest is a SHA-256 in base64url.
type encodedDigest [43]byte

func encodeDigest(b []byte) (d encodedDigest) {
	appendDigest(d[:0], crypto.SHA256, b)
	return d
}

// A concealer writes claims with digests in place of what is [Hidden].
type concealer struct {
	rnd     io.Reader
	decoys  int
	payload []byte // room for it
	shown   []byte // the disclosures, each followed by ~
	count   int    // of them
	pool    [16 * saltSize]byte
	left    int             // random bytes of pool that were not used yet
	scratch []byte          // for a disclosure; nil while one is being written
	digests []encodedDigest // of the objects that are being written, the innermost last
	list    []member        // of the objects that are being written, the innermost last
	order   []int           // of those of them that are hidden, by name
}

// concealers are those that nobody uses. What one has written is copied by then, and its
// room serves the next credential: it was half of the garbage of an issue.
var concealers = sync.Pool{New: func() any {
	const usual = 1 << 10 // bytes of a payload, and of the disclosures
	return &concealer{
		payload: make([]byte, 0, usual), shown: make([]byte, 0, usual), scratch: make([]byte, 0, usual/4),
		digests: make([]encodedDigest, 0, 16), list: make([]member, 0, 32), order: make([]int, 0, 16),
	}
}}

// done gives a concealer back, empty of what it has written, unless that was unusually much.
func (c *concealer) done() {
	const most = 16 << 10
	if cap(c.payload) > most || cap(c.shown) > most || cap(c.scratch) > most || cap(c.list) > most/64 {
		return
	}
	clear(c.pool[:])
	clear(c.list[:cap(c.list)])
	for _, b := range [][]byte{c.payload, c.shown, c.scratch} {
		clear(b[:cap(b)])
	}
	*c = concealer{payload: c.payload[:0], shown: c.shown[:0], scratch: c.scratch[:0], digests: c.digests[:0], list: c.list[:0], order: c.order[:0]}
	concealers.Put(c)
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

// value appends v as JSON.
func (c *concealer) value(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case map[string]any:
		return c.object(dst, v, nil)
	case []any:
		return c.array(dst, v)
	}
	dst, err := strict.AppendJSON(dst, v)
	if err != nil {
		return nil, notIssuable("%v", err)
	}
	return dst, nil
}

// object appends an object of these members; of is the token whose payload it is, nil
// for others.
func (c *concealer) object(dst []byte, m map[string]any, of *Token) ([]byte, error) {
	list, order, from := len(c.list), len(c.order), len(c.digests)
	for name, v := range m {
		if _, hidden := v.(Hidden); hidden {
			c.order = append(c.order, len(c.list))
		}
		c.list = append(c.list, member{name: name, value: v})
	}
	all := len(c.list)
	slices.SortFunc(c.order[order:], func(a, b int) int { return strings.Compare(c.list[a].name, c.list[b].name) })
	for i, end := order, len(c.order); i < end; i++ { // both grow meanwhile
		e := c.list[c.order[i]]
		d, err := c.disclose(e.name, false, e.value.(Hidden))
		if err != nil {
			return nil, err
		}
		c.digests = append(c.digests, d)
	}
	c.order = c.order[:order]
	// What is written follows: the registered claims in their order, and those that are
	// shown always.
	if len(c.digests) > from {
		if err := c.decoy(); err != nil {
			return nil, err
		}
		// In the order of the digests, which says nothing of the order of the claims
		// (RFC 9901 section 4.2.4.1).
		slices.SortFunc(c.digests[from:], func(a, b encodedDigest) int { return bytes.Compare(a[:], b[:]) })
		c.list = append(c.list, member{name: nameDigests, value: digestsFrom(from)})
	}
	if of != nil {
		if hides(m) {
			c.list = append(c.list, member{name: nameAlgorithm, text: "sha-256"})
		}
		c.list = of.register(c.list)
	}
	for i := list; i < all; i++ {
		if e := c.list[i]; !isHidden(e.value) {
			c.list = append(c.list, e)
		}
	}
	slices.SortFunc(c.list[all:], func(a, b member) int { return strings.Compare(a.name, b.name) })
	dst, err := c.members(dst, all, len(c.list))
	c.list, c.digests = c.list[:list], c.digests[:from]
	return dst, err
}

func isHidden(v any) bool { _, ok := v.(Hidden); return ok }

// hides reports whether anything in v is [Hidden].
func hides(v any) bool {
	switch v := v.(type) {
	case Hidden:
		return true
	case []any:
		return slices.ContainsFunc(v, hides)
	case map[string]any:
		for _, e := range v {
			if hides(e) {
				return true
			}
		}
	}
	return false
}

// decoy adds digests that stand for nothing.
func (c *concealer) decoy() error {
	for range c.decoys {
		b, err := c.random(2 * saltSize)
		if err != nil {
			return err
		}
		c.digests = append(c.digests, encodeDigest(b))
	}
	return nil
}

// members appends an object of the members of the list in these places.
func (c *concealer) members(dst []byte, from, to int) ([]byte, error) {
	dst = append(dst, '{')
	for i := from; i < to; i++ {
		if i > from {
			dst = append(dst, ',')
		}
		e := c.list[i] // which grows while its value is written
		var err error
		if dst, err = strict.AppendText(dst, e.name); err != nil {
			return nil, notIssuable("%v", err)
		}
		dst = append(dst, ':')
		if dst, err = c.member(dst, e); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

// member appends the value of a member.
func (c *concealer) member(dst []byte, m member) ([]byte, error) {
	var err error
	switch v := m.value.(type) {
	case digestsFrom:
		return appendDigests(dst, c.digests[v:]), nil
	case *keys.PublicKey:
		return append(v.AppendBareJWK(append(dst, `{"jwk":`...)), '}'), nil
	case *credential.StatusRef:
		dst, err = appendStatus(dst, v)
	case nil:
		if m.text != "" {
			dst, err = strict.AppendText(dst, m.text)
		} else {
			dst, err = strict.AppendInt(dst, m.number)
		}
	default:
		return c.value(dst, v)
	}
	if err != nil {
		return nil, notIssuable("%v", err)
	}
	return dst, nil
}

// appendDigests appends an array of digests.
func appendDigests(dst []byte, digests []encodedDigest) []byte {
	dst = append(dst, '[')
	for i := range digests {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, '"'), digests[i][:]...), '"')
	}
	return append(dst, ']')
}

func (c *concealer) array(dst []byte, list []any) ([]byte, error) {
	dst = append(dst, '[')
	for i, e := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		hidden, ok := e.(Hidden)
		if !ok {
			var err error
			if dst, err = c.value(dst, e); err != nil {
				return nil, err
			}
			continue
		}
		d, err := c.disclose("", true, hidden)
		if err != nil {
			return nil, err
		}
		dst = append(append(append(dst, `{"...":"`...), d[:]...), `"}`...)
	}
	return append(dst, ']'), nil
}

// disclose makes the disclosure of a claim with this name, or of an array element,
// and returns its digest (RFC 9901 section 4.2).
func (c *concealer) disclose(name string, element bool, h Hidden) (encodedDigest, error) {
	b := append(c.scratch[:0], `["`...)
	c.scratch = nil // one inside of this one has its own
	salt, err := c.random(saltSize)
	if err != nil {
		return encodedDigest{}, err
	}
	b = append(strict.AppendBase64URL(b, salt), `",`...)
	if !element {
		if b, err = strict.AppendText(b, name); err != nil {
			return encodedDigest{}, notIssuable("%v", err)
		}
		b = append(b, ',')
	}
	if b, err = c.value(b, h.Value); err != nil {
		return encodedDigest{}, err
	}
	b = append(b, ']')
	from := len(c.shown)
	c.shown = strict.AppendBase64URL(c.shown, b)
	d := encodeDigest(c.shown[from:])
	c.shown = append(c.shown, '~')
	c.count++
	c.scratch = b
	return d, nil
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
	sig, err := d.jose.Signature(rnd, s)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	out.Grow(len(d.ToBeSigned()) + 1 + len(sig) + 1 + len(d.shown))
	out.Write(d.ToBeSigned())
	out.WriteByte('.')
	out.WriteString(sig)
	out.WriteByte('~')
	out.Write(d.shown)
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
