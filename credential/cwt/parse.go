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

	// KeyBinding is what the holder's key signed along with the token; nil if it came
	// without. Everything else here is about the token inside of it.
	KeyBinding *credential.KeyBinding
	// Disclosures says where each disclosure belongs, in the order in which they
	// stand; a nil path is a decoy. A holder may leave each of them out.
	Disclosures []Path
	// Withheld is how many digests stay shut, decoys included.
	Withheld int

	message     *cose.Sign1Message
	binding     *cose.Sign1Message // around message, nil if nothing is
	claims      []byte             // with what was disclosed in its place
	disclosures []disclosure
	selective   bool   // an SD-CWT
	vct         string // the type by the draft's own claim
	cannot      error  // why the token cannot be accepted even with a good signature
}

// Parse reads a token, alone or with a proof by the holder's key around it, without
// verifying it, claims as they stand. A token that cannot be read, or whose
// disclosures do not fit, is a [*credential.RejectedError].
func Parse(b []byte) (*Parsed, error) { return parseMessage(b, true) }

// parseMessage is Parse; paths says whether to note where disclosures belong.
func parseMessage(b []byte, paths bool) (*Parsed, error) {
	m, err := cose.ParseSign1(b)
	if err != nil {
		return nil, reject(err)
	}
	switch typ := m.Protected.Type; {
	case isKeyBinding(typ):
		return parsePresented(m, paths)
	case typ == int64(typQuestion):
		return nil, credential.Reject(credential.UnsupportedFormat, "a question of a verifier, which a wallet answers")
	}
	return parse(m, paths)
}

// parse reads the token that an issuer signed.
func parse(m *cose.Sign1Message, paths bool) (*Parsed, error) {
	p := &Parsed{
		Signed: !m.Unsigned(), Algorithm: m.Protected.Algorithm, KeyID: m.KeyID(), X5Chain: m.X5Chain(),
		Format: credential.FormatCWT, message: m, claims: m.Payload, selective: isSDCWT(m.Protected.Type),
	}
	if p.selective {
		if err := p.open(paths); err != nil {
			return nil, err
		}
	}
	c, err := limits.Cursor(p.claims)
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
	if p.vct != "" && p.Type != "" && p.vct != p.Type {
		return nil, malformed("two types")
	}
	if p.Type == "" {
		p.Type = p.vct
	}
	if p.selective {
		return p, p.checkTimes()
	}
	return p, nil
}

// open puts what was disclosed in its place.
func (p *Parsed) open(paths bool) (err error) {
	if p.message.Item(cose.Protected, headerClaims) != nil {
		return credential.Reject(credential.UnsupportedFormat, "claims in the header")
	}
	if alg := p.message.Item(cose.Protected, headerHash); alg != nil {
		c, err := limits.Cursor(alg)
		if err != nil {
			return reject(err)
		}
		switch n := c.Int(); {
		case c.Err() != nil:
			return reject(c.Err())
		case n != algSHA256:
			return credential.Reject(credential.UnsupportedAlgorithm, "digests with algorithm %d", n)
		}
	}
	if p.disclosures, err = readDisclosures(p.message); err != nil {
		return err
	}
	if p.claims, p.Withheld, err = open(p.message.Payload, p.disclosures, paths); err != nil {
		return err
	}
	if paths {
		for _, d := range p.disclosures {
			p.Disclosures = append(p.Disclosures, d.path)
		}
	}
	return nil
}

// checkTimes holds the times of an SD-CWT against each other (section 9 step 3).
func (p *Parsed) checkTimes() error {
	ended := func(t time.Time) bool { return !t.IsZero() && !p.Expires.IsZero() && !t.Before(p.Expires) }
	if !p.NotBefore.IsZero() && !p.IssuedAt.IsZero() && p.NotBefore.After(p.IssuedAt) || ended(p.NotBefore) || ended(p.IssuedAt) {
		return malformed("dates that contradict each other")
	}
	return nil
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
	case cbor.Key{Int: claimVCT}:
		if !p.selective || c.Kind() != cbor.Text {
			p.Other = append(p.Other, credential.Claim{Key: k.Int, Value: c.Value()})
			return nil
		}
		p.vct = c.Text()
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
// (draft-ietf-oauth-status-list-20 section 6.3). Other mechanisms are noted beside it, and
// refused in its place.
func (p *Parsed) readStatus(c *cbor.Cursor) error {
	listed, beside := false, c.Pairs() > 1
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
	default:
		p.Status.Beside = beside
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
