package cwt

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"io"
	"maps"
	"slices"

	"github.com/sanad-id/sanad/internal/cbor"
)

// Hidden is a claim or an element of an array that the holder need not show. What
// is inside of it may be Hidden again.
type Hidden struct{ Value any }

// A concealer puts digests in the place of what is [Hidden] (SD-CWT section 5.1).
type concealer struct {
	rnd         io.Reader
	decoys      int
	disclosures [][]byte // salted claims as they are encoded, without the byte string around them
	err         error
}

// check returns what went wrong. Bound says that the token names a holder's key.
func (c *concealer) check(bound bool) error {
	switch n := len(c.disclosures); {
	case c.err != nil:
		return c.err
	case n > 0 && !bound:
		// Section 7: key binding is required. Paper shows all that it says.
		return notIssuable("hidden claims without a holder's key")
	case n > MaxDisclosures:
		return notIssuable("%d claims that can be left out, at most %d", n, MaxDisclosures)
	}
	return nil
}

// size is what the disclosures take in a token.
func (c *concealer) size() int {
	n := 0
	for _, d := range c.disclosures {
		n += len(d) + 3
	}
	return n
}

// disclose makes a salted claim of these parts, the salt apart, and returns its
// digest.
func (c *concealer) disclose(parts ...any) []byte {
	rnd := c.rnd
	if rnd == nil {
		rnd = rand.Reader
	}
	salt := make([]byte, saltSize)
	if _, err := io.ReadFull(rnd, salt); err != nil {
		c.err = cmp.Or(c.err, err)
	}
	b, err := cbor.Marshal(append([]any{salt}, parts...))
	c.err = cmp.Or(c.err, err)
	c.disclosures = append(c.disclosures, b)
	// Over the byte string with its head, as the draft's examples have it.
	sum := sha256.New()
	sum.Write(cbor.AppendHead(nil, cbor.Bytes, uint64(len(b))))
	sum.Write(b)
	return sum.Sum(nil)
}

// value conceals what is hidden inside of v.
func (c *concealer) value(v any) any {
	switch v := v.(type) {
	case map[int64]any:
		return c.object(v)
	case map[string]any:
		return object(c, v)
	case []any:
		return c.array(v)
	}
	return v
}

// object is m with what stands for its hidden members; m itself if it hides nothing.
func (c *concealer) object(m map[int64]any) any {
	if !hides(m) {
		return m
	}
	return object(c, m)
}

// hides reports whether anything in v is [Hidden].
func hides(v any) bool {
	switch v := v.(type) {
	case Hidden:
		return true
	case []any:
		return slices.ContainsFunc(v, hides)
	case map[int64]any:
		for _, e := range v {
			if hides(e) {
				return true
			}
		}
	case map[string]any:
		for _, e := range v {
			if hides(e) {
				return true
			}
		}
	}
	return false
}

// object is m with digests for its hidden members, sorted so that their order says
// nothing. The order of keys is fixed to make equal tokens of equal salts.
func object[K cmp.Ordered](c *concealer, m map[K]any) map[any]any {
	out := make(map[any]any, len(m)+1)
	var digests [][]byte
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if h, ok := m[key].(Hidden); ok {
			digests = append(digests, c.disclose(c.value(h.Value), key))
		} else {
			out[key] = c.value(m[key])
		}
	}
	if len(digests) > 0 {
		for range c.decoys {
			digests = append(digests, c.disclose())
		}
		slices.SortFunc(digests, bytes.Compare)
		out[cbor.SimpleValue(simpleRedacted)] = digests
	}
	return out
}

// array is a with digests in the place of its hidden elements. Decoys stand at its
// end.
func (c *concealer) array(a []any) []any {
	out := make([]any, 0, len(a))
	hidden := false
	for _, e := range a {
		if h, ok := e.(Hidden); ok {
			hidden = true
			e = cbor.Tag{Number: tagRedacted, Content: c.disclose(c.value(h.Value))}
		} else {
			e = c.value(e)
		}
		out = append(out, e)
	}
	if hidden {
		for range c.decoys {
			out = append(out, cbor.Tag{Number: tagRedacted, Content: c.disclose()})
		}
	}
	return out
}
