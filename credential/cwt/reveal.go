package cwt

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/internal/cose"
)

// MaxDisclosures is the most disclosures of one token.
const MaxDisclosures = 128

// saltSize is the size of a salt in bytes (SD-CWT section 5.1).
const saltSize = 16

// maxKey is the most bytes of a key that is a text (SD-CWT section 6.3).
const maxKey = 255

// redacted are the limits of what may hold digests.
var redacted = cbor.Limits{Bytes: limits.Bytes, Depth: limits.Depth, Items: limits.Items, SimpleKey: simpleRedacted}

// A Path says where something stands in the claims of a token, from the top: a step
// is an int64 or a string for the key of a map, and an int for an element of an
// array, as it is numbered when everything is disclosed.
type Path []any

// String is the path for people, such as "169/8".
func (p Path) String() string {
	s := ""
	for i, step := range p {
		if i > 0 {
			s += "/"
		}
		s += fmt.Sprint(step)
	}
	return s
}

// touches reports whether p leads to the place q, into it, or through it.
func (p Path) touches(q Path) bool {
	n := min(len(p), len(q))
	return slices.Equal(p[:n], q[:n])
}

func malformed(format string, args ...any) error {
	return credential.Reject(credential.Malformed, format, args...)
}

// A disclosure is a salted claim as it came (SD-CWT section 5.1).
type disclosure struct {
	item  cbor.RawMessage // the byte string, its head included: what is hashed
	parts int             // salt alone: a decoy; with a value: an element; with a key, too: a claim
	key   cbor.Key
	value cbor.RawMessage

	used bool
	path Path
}

// readDisclosures reads the sd_claims of a token.
func readDisclosures(m *cose.Sign1Message) ([]disclosure, error) {
	if m.Item(cose.Unprotected, headerSealed) != nil || m.Item(cose.Protected, headerSealed) != nil {
		return nil, credential.Reject(credential.Encrypted, "disclosures that are encrypted for somebody else")
	}
	if m.Item(cose.Protected, headerDisclosures) != nil {
		return nil, malformed("sd_claims in the protected header")
	}
	raw := m.Item(cose.Unprotected, headerDisclosures)
	if raw == nil {
		return nil, nil
	}
	c, err := limits.Cursor(raw)
	if err != nil {
		return nil, reject(err)
	}
	n := c.Array()
	switch {
	case c.Err() != nil:
		return nil, reject(c.Err())
	case n == 0: // section 9 step 2
		return nil, malformed("sd_claims without a disclosure")
	case n > MaxDisclosures:
		return nil, credential.Reject(credential.TooLarge, "%d disclosures, at most %d", n, MaxDisclosures)
	}
	out := make([]disclosure, n)
	for i := range out {
		if out[i], err = readDisclosure(c.Raw()); err != nil {
			return nil, err
		}
	}
	if err := c.Done(); err != nil {
		return nil, reject(err)
	}
	return out, nil
}

// readDisclosure reads one item of sd_claims: a byte string that holds an array.
func readDisclosure(item cbor.RawMessage) (disclosure, error) {
	outer, err := limits.Cursor(item)
	if err != nil {
		return disclosure{}, reject(err)
	}
	inside := outer.Bytes()
	if err := outer.Done(); err != nil {
		return disclosure{}, reject(err)
	}
	c, err := redacted.Cursor(inside)
	if err != nil {
		return disclosure{}, reject(err)
	}
	d := disclosure{item: item, parts: c.Array()}
	if c.Err() == nil && (d.parts < 1 || d.parts > 3) {
		return disclosure{}, malformed("a disclosure that is no array of one to three")
	}
	if salt := c.Bytes(); c.Err() == nil && len(salt) != saltSize {
		return disclosure{}, malformed("a salt of %d bytes, not of %d", len(salt), saltSize)
	}
	if d.parts > 1 {
		d.value = c.Raw()
	}
	if d.parts > 2 {
		switch c.Kind() {
		case cbor.Text:
			d.key = cbor.Key{Text: c.Text(), Word: true}
		default:
			d.key = cbor.Key{Int: c.Int()}
		}
	}
	if err := c.Done(); err != nil {
		return disclosure{}, reject(err)
	}
	return d, nil
}

// An opener puts disclosures in the place of their digests.
type opener struct {
	disclosures map[[digestSize]byte]*disclosure
	seen        map[[digestSize]byte]struct{} // every digest of payload and disclosures
	paths       bool                          // note where each disclosure belongs
	digests     int                           // how many were met so far
	shut        int                           // and how many of them nothing was disclosed for
}

// open returns the claims with what was disclosed in its place and nothing left of
// digests (SD-CWT section 9 step 7). Shut is how many digests stay shut.
func open(payload []byte, list []disclosure, paths bool) (claims []byte, shut int, err error) {
	o := opener{
		disclosures: make(map[[digestSize]byte]*disclosure, len(list)),
		seen:        make(map[[digestSize]byte]struct{}, 2*len(list)), paths: paths,
	}
	for i := range list {
		key := sha256.Sum256(list[i].item)
		if o.disclosures[key] != nil {
			return nil, 0, malformed("a disclosure twice")
		}
		o.disclosures[key] = &list[i]
	}
	claims, err = o.item(make([]byte, 0, len(payload)), payload, nil, 1)
	if err != nil {
		return nil, 0, err
	}
	for i := range list {
		if !list[i].used {
			return nil, 0, malformed("a disclosure that no digest refers to")
		}
	}
	return claims, o.shut, nil
}

// item appends the one item that b is, opened.
func (o *opener) item(dst, b []byte, path Path, depth int) ([]byte, error) {
	c, err := redacted.Cursor(b)
	if err != nil {
		return nil, reject(err)
	}
	if depth == 1 && c.Kind() != cbor.Map {
		return nil, malformed("the claims are no map")
	}
	if dst, err = o.next(dst, &c, path, depth); err != nil {
		return nil, err
	}
	if err := c.Done(); err != nil {
		return nil, reject(err)
	}
	return dst, nil
}

// next appends the next item of c, which stands at path, opened.
func (o *opener) next(dst []byte, c *cbor.Cursor, path Path, depth int) ([]byte, error) {
	if depth > limits.Depth {
		return nil, credential.Reject(credential.TooLarge, "claims nested deeper than %d", limits.Depth)
	}
	switch c.Kind() {
	case cbor.Map:
		return o.object(dst, c, path, depth)
	case cbor.Array:
		return o.array(dst, c, path, depth)
	case cbor.Tagged:
		switch tag := c.Tag(); tag {
		case tagRedacted:
			return nil, malformed("a digest where no element of an array stands")
		case tagToBeRedacted, tagToBeDecoy:
			return nil, malformed("tag %d, which an issuer takes out", tag)
		default:
			return o.next(cbor.AppendHead(dst, cbor.Tagged, tag), c, path, depth+1)
		}
	}
	raw := c.Raw()
	if err := c.Err(); err != nil {
		return nil, reject(err)
	}
	return append(dst, raw...), nil
}

// object appends the next map of c. What digests stand for comes after the rest: a
// reader of the result finds keys that stand twice.
func (o *opener) object(dst []byte, c *cbor.Cursor, path Path, depth int) ([]byte, error) {
	var digests [][]byte
	var body []byte
	n := 0
	for k := range c.Map() {
		if k.Simple == simpleRedacted {
			for range c.Array() {
				digests = append(digests, c.Bytes())
			}
			continue
		}
		before := o.digests
		var err error
		if body, err = appendKey(body, k); err != nil {
			return nil, err
		}
		if body, err = o.next(body, c, o.step(path, keyStep(k)), depth+1); err != nil {
			return nil, err
		}
		if depth == 1 && !k.Word && plainClaims[k.Int] && o.digests != before {
			return nil, malformed("claim %d with hidden parts", k.Int)
		}
		n++
	}
	if err := c.Err(); err != nil {
		return nil, reject(err)
	}
	for _, digest := range digests {
		d, err := o.find(digest)
		if err != nil {
			return nil, err
		}
		switch {
		case d == nil || d.parts == 1: // undisclosed, or a decoy
			continue
		case d.parts == 2:
			return nil, malformed("an element of an array disclosed as a claim")
		case depth == 1 && !d.key.Word && plainClaims[d.key.Int]:
			return nil, malformed("claim %d is a disclosure", d.key.Int)
		}
		if body, err = appendKey(body, d.key); err != nil {
			return nil, err
		}
		if body, err = o.disclosed(body, d, o.step(path, keyStep(d.key)), depth+1); err != nil {
			return nil, err
		}
		n++
	}
	return append(cbor.AppendHead(dst, cbor.Map, uint64(n)), body...), nil
}

// array appends the next array of c. What stays shut leaves no gap.
func (o *opener) array(dst []byte, c *cbor.Cursor, path Path, depth int) ([]byte, error) {
	var body []byte
	n := 0
	for range c.Array() {
		var err error
		if !isDigest(c) {
			if body, err = o.next(body, c, o.step(path, n), depth+1); err != nil {
				return nil, err
			}
			n++
			continue
		}
		c.Tag()
		digest := c.Bytes()
		if err := c.Err(); err != nil {
			return nil, reject(err)
		}
		d, err := o.find(digest)
		switch {
		case err != nil:
			return nil, err
		case d == nil || d.parts == 1:
			continue
		case d.parts == 3:
			return nil, malformed("a claim disclosed as an element of an array")
		}
		if body, err = o.disclosed(body, d, o.step(path, n), depth+1); err != nil {
			return nil, err
		}
		n++
	}
	if err := c.Err(); err != nil {
		return nil, reject(err)
	}
	return append(cbor.AppendHead(dst, cbor.Array, uint64(n)), body...), nil
}

// isDigest reports whether the next item is a digest in place of an element.
func isDigest(c *cbor.Cursor) bool {
	b := c.Next()
	return c.Kind() == cbor.Tagged && len(b) > 1 && b[0] == 0xd8 && b[1] == tagRedacted
}

// find returns the disclosure for a digest, nil if there is none. The same digest
// twice would let one claim stand in two places.
func (o *opener) find(digest []byte) (*disclosure, error) {
	if len(digest) != digestSize {
		return nil, malformed("a digest of %d bytes", len(digest))
	}
	key := [digestSize]byte(digest)
	if _, twice := o.seen[key]; twice {
		return nil, malformed("a digest twice")
	}
	o.seen[key] = struct{}{}
	o.digests++
	d := o.disclosures[key]
	if d == nil {
		o.shut++
	} else {
		d.used = true
	}
	return d, nil
}

func (o *opener) disclosed(dst []byte, d *disclosure, path Path, depth int) ([]byte, error) {
	if o.paths {
		d.path = path
	}
	return o.item(dst, d.value, path, depth)
}

// step is path with one step more. Nobody asks where the claims stand while a token
// is only verified.
func (o *opener) step(path Path, step any) Path {
	if !o.paths {
		return nil
	}
	return append(slices.Clip(path), step)
}

func keyStep(k cbor.Key) any {
	if k.Word {
		return k.Text
	}
	return k.Int
}

// appendKey appends the key of a map.
func appendKey(dst []byte, k cbor.Key) ([]byte, error) {
	switch {
	case k.Word && len(k.Text) > maxKey:
		return nil, credential.Reject(credential.TooLarge, "a key of %d bytes, at most %d", len(k.Text), maxKey)
	case k.Word:
		return append(cbor.AppendHead(dst, cbor.Text, uint64(len(k.Text))), k.Text...), nil
	case k.Int < 0:
		return cbor.AppendHead(dst, cbor.Negative, uint64(-1-k.Int)), nil
	}
	return cbor.AppendHead(dst, cbor.Unsigned, uint64(k.Int)), nil
}
