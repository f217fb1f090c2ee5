package cwt

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/internal/cose"
	"github.com/sanad-id/sanad/keys"
)

// A Parsed token is what a token says of itself. Nobody has vouched for any of
// it.
type Parsed struct {
	// Signed is false if the signature is empty.
	Signed bool
	// Algorithm is the one named in the protected header, "" if that is none
	// that we carry.
	Algorithm keys.Algorithm
	// KeyID is the kid, nil if there is none.
	KeyID []byte
	// X5Chain are the certificates in the header.
	X5Chain [][]byte

	Format                       credential.Format
	Type, Issuer                 string
	IssuedAt, NotBefore, Expires time.Time
	Status                       *credential.StatusRef
	Holder                       *keys.PublicKey
	Person, Fields, Health       credential.Claims
	// Other are the claims that we give no meaning.
	Other credential.Claims

	message *cose.Sign1Message
	cannot  error // why the token cannot be accepted even with a good signature
}

// Parse reads a token without verifying it, claims as they stand. A token that
// cannot be read is a [*credential.RejectedError].
func Parse(b []byte) (*Parsed, error) {
	m, err := cose.ParseSign1(b)
	if err != nil {
		return nil, reject(err)
	}
	p := &Parsed{
		Signed: !m.Unsigned(), Algorithm: m.Protected.Algorithm, KeyID: m.KeyID(), X5Chain: m.X5Chain(),
		Format: credential.FormatCWT, message: m,
	}
	c, err := limits.Cursor(m.Payload)
	if err != nil {
		return nil, reject(err)
	}
	for k := range c.Map() {
		if err := p.readClaim(k, &c); err != nil {
			return nil, err
		}
	}
	if err := c.Done(); err != nil {
		return nil, reject(err)
	}
	return p, nil
}

// readClaim reads one claim of the claims set (RFC 8392 section 3). What is wrong
// with the encoding stays in the cursor; what is wrong with the claim is returned.
func (p *Parsed) readClaim(k cbor.Key, c *cbor.Cursor) (err error) {
	switch k {
	case cbor.Key{Int: ClaimIssuer}:
		p.Issuer = c.Text()
	case cbor.Key{Int: ClaimAudience}:
		// RFC 8392 section 3.1.3: whoever is not named must refuse the token, and
		// a checker of paper is never named.
		p.cannot = credential.Reject(credential.UnsupportedFormat, "the token is for a particular audience")
		p.Other = append(p.Other, credential.Claim{Key: k.Int, Name: "aud", Value: c.Value()})
	case cbor.Key{Int: ClaimExpires}:
		p.Expires, err = readTime(c)
	case cbor.Key{Int: ClaimNotBefore}:
		p.NotBefore, err = readTime(c)
	case cbor.Key{Int: ClaimIssuedAt}:
		p.IssuedAt, err = readTime(c)
	case cbor.Key{Int: ClaimConfirmation}:
		return p.readConfirmation(c)
	case cbor.Key{Int: ClaimStatus}:
		return p.readStatus(c)
	case cbor.Key{Int: ClaimPerson}:
		p.Person = readClaims(c, PersonName)
	case cbor.Key{Int: ClaimFields}:
		p.Fields = readClaims(c, nil)
	case cbor.Key{Int: ClaimType}:
		p.Type = c.Text()
	case cbor.Key{Int: ClaimHCert}:
		p.Format = credential.FormatHealthCert
		p.Health = readClaims(c, func(int64) string { return "hcert" })
	default:
		p.Other = append(p.Other, credential.Claim{Key: k.Int, Name: k.Text, Value: c.Value()})
	}
	return err
}

// readTime reads a NumericDate: a number without tag (RFC 8392 section 2), which
// some writers give as floating-point number although it is whole.
func readTime(c *cbor.Cursor) (time.Time, error) {
	var n int64
	if c.Kind() == cbor.Simple {
		f := c.Float()
		if n = int64(f); float64(n) != f {
			return time.Time{}, credential.Reject(credential.Malformed, "a time that is not a whole second")
		}
	} else {
		n = c.Int()
	}
	if n < 0 || n > lastSecond.Unix() {
		return time.Time{}, credential.Reject(credential.Malformed, "a time outside the years 1970 to 9999")
	}
	return time.Unix(n, 0).UTC(), nil
}

// readConfirmation reads the key of the holder (RFC 8747 section 3). Other ways
// to name it would need a key that we do not have.
func (p *Parsed) readConfirmation(c *cbor.Cursor) error {
	var key cbor.RawMessage
	for k := range c.Map() {
		if k == (cbor.Key{Int: confirmationKey}) {
			key = c.Raw()
		}
	}
	if c.Err() != nil {
		return nil
	}
	if key == nil {
		p.cannot = credential.Reject(credential.UnsupportedFormat, "the holder is named by something other than a key")
		return nil
	}
	pub, err := keys.ParseCOSEKey(key)
	if errors.Is(err, keys.ErrUnsupportedKey) {
		p.cannot = credential.Reject(credential.UnsupportedAlgorithm, "key of the holder: %v", err)
		return nil
	}
	if err != nil {
		return credential.Reject(credential.Malformed, "key of the holder: %v", err)
	}
	p.Holder = &pub
	return nil
}

// readStatus reads the reference to a Token Status List
// (draft-ietf-oauth-status-list-20 section 6.3). Other mechanisms may stand
// beside it, but not in its place.
func (p *Parsed) readStatus(c *cbor.Cursor) error {
	listed := false
	for k := range c.Map() {
		if k == (cbor.Key{Text: "status_list", Word: true}) {
			listed = true
			p.Status = readStatusList(c)
		}
	}
	switch {
	case c.Err() != nil:
		return nil
	case !listed:
		p.cannot = credential.Reject(credential.StatusUnsupported, "no status_list in the status claim")
	case p.Status == nil:
		return credential.Reject(credential.Malformed, "status_list without uri or idx")
	}
	return nil
}

// readStatusList returns nil if a member is missing or makes no sense.
func readStatusList(c *cbor.Cursor) *credential.StatusRef {
	index, uri := int64(-1), ""
	for k := range c.Map() {
		switch k {
		case cbor.Key{Text: "idx", Word: true}:
			index = c.Int()
		case cbor.Key{Text: "uri", Word: true}:
			uri = c.Text()
		}
	}
	if index < 0 || uri == "" {
		return nil
	}
	return &credential.StatusRef{URI: uri, Index: uint64(index)}
}

// readClaims reads a map of claims and sorts them by key. Keys that name does not
// know are kept, text keys as names.
func readClaims(c *cbor.Cursor, name func(int64) string) credential.Claims {
	claims := make(credential.Claims, 0, c.Pairs())
	for k := range c.Map() {
		claim := credential.Claim{Key: k.Int, Name: k.Text}
		if !k.Word && name != nil {
			claim.Name = name(k.Int)
		}
		claim.Value = c.Value()
		claims = append(claims, claim)
	}
	byKey := func(a, b credential.Claim) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), strings.Compare(a.Name, b.Name))
	}
	if !slices.IsSortedFunc(claims, byKey) {
		slices.SortFunc(claims, byKey)
	}
	return claims
}

// reject turns an error of the layers below into a refusal.
func reject(err error) error {
	reason := credential.Malformed
	switch {
	case errors.Is(err, cose.ErrTooLarge), errors.Is(err, cbor.ErrTooLarge):
		reason = credential.TooLarge
	case errors.Is(err, cose.ErrEncrypted):
		reason = credential.Encrypted
	case errors.Is(err, cose.ErrUnsigned):
		reason = credential.Unsigned
	case errors.Is(err, cose.ErrUnsupportedAlgorithm):
		reason = credential.UnsupportedAlgorithm
	case errors.Is(err, cose.ErrCrit):
		// Signed with a rule that we do not know: no decision can be reached.
		reason = credential.UnsupportedFormat
	}
	return credential.Reject(reason, "%v", err)
}
