package cwt

import (
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/internal/cose"
	"github.com/sanad-id/sanad/keys"
)

// A Token is what a credential shall say. Values in Person and Fields are
// string, int64, int, bool, float64, []byte, []any, map[int64]any or
// map[string]any.
type Token struct {
	// Issuer is the short, stable name of the issuer in the trust bundle.
	Issuer string
	// Type is the credential type, such as "urn:xx:farmer:1".
	Type string
	// IssuedAt must be set. NotBefore and Expires may be zero: valid at once, and
	// without end. Times have whole seconds.
	IssuedAt, NotBefore, Expires time.Time
	// Status is where a revocation will stand; nil leaves a credential that can
	// never be revoked.
	Status *credential.StatusRef
	// Holder is the key the credential is bound to; nil for paper, which anyone
	// can copy.
	Holder *keys.PublicKey
	// Person is the Claim 169 map by its keys ([PersonKeys]).
	// A value that is wrapped in [Hidden] can be left out by the holder, members and
	// elements at any depth included; all others are always shown. Only what is bound
	// to a holder's key may hide anything.
	Person map[int64]any
	// Fields is the map of the type's own fields by the keys of the programme. Values
	// may be [Hidden], too.
	Fields map[int64]any
	// Decoys is how many digests that stand for nothing are added wherever something
	// is hidden, so that their number tells less. Each takes some 34 bytes. Optional.
	Decoys int
	// Rand gives the salts. Optional; the system's source if nil.
	Rand io.Reader
	// X5Chain is the certificate chain of the issuer's key in DER, the key's own
	// first. It is for verifiers that know a root only, and adds some 430 bytes.
	X5Chain [][]byte
}

// A Draft is a credential before its signature.
type Draft struct {
	cose        *cose.Draft
	disclosures [][]byte
	signature   int // its size
}

// NewDraft checks that the token may be issued and fixes the exact bytes that the
// key shall sign. A token that may not be issued gives an error that is
// [ErrNotIssuable] and names the claim, never its value.
func NewDraft(t Token, issuerKey keys.PublicKey) (*Draft, error) {
	p, err := Prepare(t, issuerKey)
	if err != nil {
		return nil, err
	}
	return p.Draft(t.IssuedAt, t.Status)
}

// A Prepared token lacks its date of issue and its status, which an issuer of many
// knows last: what is left to do is little.
type Prepared struct {
	token       Token // for the checks of dates
	key         keys.PublicKey
	header      cose.Header
	parts       [3][]byte // entries of the claims set, without the head of the map
	entries     int
	disclosures [][]byte
	room        int // what signature and holder add to the bytes to be signed
}

// Prepare does what [NewDraft] does before IssuedAt and Status of a token are known.
// IssuedAt must be about when it will be issued; Status is not looked at.
func Prepare(t Token, issuerKey keys.PublicKey) (*Prepared, error) {
	t.Status = nil
	if err := t.lint(); err != nil {
		return nil, err
	}
	c := concealer{rnd: t.Rand, decoys: t.Decoys}
	person, fields := c.object(t.Person), c.object(t.Fields)
	if err := c.check(t.Holder != nil); err != nil {
		return nil, err
	}
	p := &Prepared{token: t, key: issuerKey, disclosures: c.disclosures, room: issuerKey.Algorithm().SignatureSize()}
	if err := p.write(&t, person, fields); err != nil {
		return nil, err
	}
	p.token.Person, p.token.Fields = nil, nil
	kid, err := keyID(issuerKey, t.X5Chain)
	if err != nil {
		return nil, err
	}
	p.header = cose.Header{KeyID: kid, X5Chain: t.X5Chain}
	if t.Holder != nil {
		// SD-CWT section 5. The default hash is not named: it would take five bytes.
		p.header.Type = int64(typSDCWT)
		p.room += c.size() + maxBinding
	}
	return p, nil
}

// write writes the claims set but the two claims that are known last: the date of issue
// stands between the first two parts, the status between the last two. Keys are in the
// order of the core deterministic form (RFC 8949 section 4.2.1).
func (p *Prepared) write(t *Token, person, fields any) error {
	b := make([]byte, 0, 512)
	entry := func(key int64) {
		b = cbor.AppendInt(b, key)
		p.entries++
	}
	date := func(key int64, at time.Time) {
		if !at.IsZero() && at.Unix() != 0 {
			entry(key)
			b = cbor.AppendInt(b, at.Unix())
		}
	}
	entry(ClaimIssuer)
	b = cbor.AppendText(b, t.Issuer)
	date(ClaimExpires, t.Expires)
	date(ClaimNotBefore, t.NotBefore)
	first := len(b)
	if t.Holder != nil {
		entry(ClaimConfirmation)
		b = append(cbor.AppendInt(cbor.AppendHead(b, cbor.Map, 1), 1), t.Holder.COSEKey()...) // RFC 8747 section 3.1
	}
	var err error
	if len(t.Person) > 0 {
		entry(ClaimPerson)
		if b, err = cbor.Append(b, person); err != nil {
			return err
		}
	}
	middle := len(b)
	entry(ClaimType)
	b = cbor.AppendText(b, t.Type)
	if len(t.Fields) > 0 {
		entry(ClaimFields)
		if b, err = cbor.Append(b, fields); err != nil {
			return err
		}
	}
	p.parts = [3][]byte{b[:first:first], b[first:middle:middle], b[middle:]}
	return nil
}

// Draft fixes the exact bytes that the key shall sign. The date and the status are
// checked as by [NewDraft].
func (p *Prepared) Draft(issuedAt time.Time, status *credential.StatusRef) (*Draft, error) {
	t := p.token
	t.IssuedAt, t.Status = issuedAt, status
	if issuedAt.IsZero() {
		return nil, notIssuable("no issue date")
	}
	if err := t.lintTimes(); err != nil {
		return nil, err
	}
	if err := t.lintReferences(); err != nil {
		return nil, err
	}
	d, err := cose.NewDraft(p.key, p.header, p.claims(issuedAt, status))
	if err != nil {
		return nil, err
	}
	if n := len(d.ToBeSigned()) + p.room; n > MaxSize {
		return nil, fmt.Errorf("%w: the token takes %d bytes, a code holds %d", ErrNotIssuable, n, MaxSize)
	}
	return &Draft{d, p.disclosures, p.key.Algorithm().SignatureSize()}, nil
}

// claims is the claims set.
func (p *Prepared) claims(issuedAt time.Time, status *credential.StatusRef) []byte {
	const own = 64 // more than date and status take beside the URI
	size, entries := own, p.entries+1
	if status != nil {
		size, entries = size+len(status.URI), entries+1
	}
	for _, part := range p.parts {
		size += len(part)
	}
	b := make([]byte, 0, size)
	b = cbor.AppendHead(b, cbor.Map, uint64(entries))
	b = append(b, p.parts[0]...)
	b = cbor.AppendHead(cbor.AppendHead(b, cbor.Unsigned, ClaimIssuedAt), cbor.Unsigned, uint64(issuedAt.Unix())) // not before 1970
	b = append(b, p.parts[1]...)
	if status != nil {
		b = cbor.AppendHead(b, cbor.Unsigned, ClaimStatus)
		b = cbor.AppendText(cbor.AppendHead(b, cbor.Map, 1), "status_list")
		b = cbor.AppendText(cbor.AppendHead(b, cbor.Map, 2), "idx")
		b = cbor.AppendHead(b, cbor.Unsigned, status.Index)
		b = cbor.AppendText(cbor.AppendText(b, "uri"), status.URI)
	}
	return append(b, p.parts[2]...)
}

// keyID is the hint that finds the key: the first 8 bytes of the SHA-256 of its
// certificate where there is one, as the health certificate has it, else of the
// thumbprint of the key (RFC 9679).
func keyID(key keys.PublicKey, chain [][]byte) ([]byte, error) {
	if len(chain) == 0 {
		id := key.ID()
		return id.Bytes(), nil
	}
	certified, err := certificateKey(chain[0])
	if err != nil {
		return nil, fmt.Errorf("cwt: certificate of the issuer's key: %w", err)
	}
	if !certified.Equal(key) {
		return nil, errors.New("cwt: the certificate is for another key than the issuer's")
	}
	sum := sha256.Sum256(chain[0])
	return sum[:8], nil
}

func certificateKey(der []byte) (keys.PublicKey, error) {
	return keys.ParsePEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// ToBeSigned returns the exact bytes that the signature will cover. They must
// not be changed.
func (d *Draft) ToBeSigned() []byte { return d.cose.ToBeSigned() }

// Hash is the SHA-256 of ToBeSigned: what an issuer stores before it signs.
func (d *Draft) Hash() [sha256.Size]byte { return sha256.Sum256(d.ToBeSigned()) }

// liveRoom is what a key-binding token adds to a card, for a verifier whose name has 24
// letters and a nonce of 16 bytes.
const liveRoom = 150

// LiveCharacters is how many characters a live code may have that shows all of a card,
// as Base45 of what does not compress.
func (d *Draft) LiveCharacters() int {
	n := len(d.ToBeSigned()) + d.signature + liveRoom
	for _, disclosure := range d.disclosures {
		n += len(disclosure) + 3
	}
	return (n*3 + 1) / 2
}

// Sign signs the draft with the signer of its key, which must be a credential key
// that may sign at the time now. It returns the token with COSE tag 18 and does
// not check the signature; see [Check].
func (d *Draft) Sign(rnd io.Reader, s keys.Signer, now time.Time) ([]byte, error) {
	if err := keys.CheckSigner(s, keys.Credential, now); err != nil {
		return nil, err
	}
	token, err := d.cose.Sign(rnd, s)
	if err != nil || len(d.disclosures) == 0 {
		return token, err
	}
	return cose.WithUnprotected(token, map[int64]any{headerDisclosures: d.disclosures})
}

// ErrNotAsDrafted: the token does not hold what was drafted, or its signature is
// not by the key it was drafted for. It must not be handed out.
var ErrNotAsDrafted = errors.New("cwt: the signed token is not what was drafted")

// Check is the issuer's look at its own work before anybody else sees it: the
// token covers exactly the bytes with this hash, the published key verifies it, and
// every digest in it has its disclosure.
func Check(token []byte, published keys.PublicKey, hash [sha256.Size]byte) error {
	m, err := cose.ParseSign1(token)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotAsDrafted, err)
	}
	if sha256.Sum256(m.ToBeSigned()) != hash {
		return fmt.Errorf("%w: other bytes were signed", ErrNotAsDrafted)
	}
	if err := m.Verify(published.Algorithm(), published); err != nil {
		return fmt.Errorf("%w: %w", ErrNotAsDrafted, err)
	}
	if !isSDCWT(m.Protected.Type) {
		return nil
	}
	// The disclosures are not covered by the signature.
	p, err := parse(m, false)
	if err == nil && p.Withheld > 0 {
		err = fmt.Errorf("%d digests without a disclosure", p.Withheld)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotAsDrafted, err)
	}
	return nil
}
