package cose

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/keys"
)

// A Header is what we write into and read from the headers of a message.
type Header struct {
	// Algorithm is that of the signature; "" if the message names none that we
	// carry. Writers leave it empty or set it to the key's.
	Algorithm keys.Algorithm
	// KeyID is the kid: a hint that finds candidates for the key.
	KeyID []byte
	// ContentType is the media type of the payload (label 3). One given as a
	// number is not kept.
	ContentType string
	// Type is the media type of the whole message, a string or an int64 (label
	// 16, RFC 9596); nil if there is none.
	Type any
	// X5Chain is a certificate chain, the signer's first, each in DER (label 33,
	// RFC 9360). It says nothing until somebody has checked it.
	X5Chain [][]byte
	// More are further headers by their labels, for writers; [Headers.Item] reads
	// them. None of the labels above may stand in it. Optional.
	More map[int64]any
}

// Labels of RFC 9052 section 3.1, RFC 9596 and RFC 9360.
const (
	labelAlgorithm   = 1
	labelCritical    = 2
	labelContentType = 3
	labelKeyID       = 4
	labelType        = 16
	labelX5Chain     = 33
)

// protectedHeader is a header as we write it.
type protectedHeader struct {
	Algorithm   int64  `cbor:"1,keyasint,omitempty"`
	ContentType string `cbor:"3,keyasint,omitempty"`
	KeyID       []byte `cbor:"4,keyasint,omitempty"`
	Type        any    `cbor:"16,keyasint,omitempty"`
	X5Chain     any    `cbor:"33,keyasint,omitempty"`
}

// encode returns the protected header for a signature with alg, or the one that
// stands above several signatures if alg is "".
func (h Header) encode(alg keys.Algorithm) ([]byte, error) {
	if alg == "" && h.ContentType == "" {
		return nil, nil // RFC 9052 section 3: no headers are an empty byte string
	}
	if len(h.KeyID) > 0 && h.ContentType == "" && h.Type == nil && len(h.X5Chain) == 0 && len(h.More) == 0 { // as on paper
		b := cbor.AppendHead(make([]byte, 0, heads+len(h.KeyID)), cbor.Map, 2)
		b = cbor.AppendInt(cbor.AppendInt(b, labelAlgorithm), alg.COSE())
		return cbor.AppendBytes(cbor.AppendInt(b, labelKeyID), h.KeyID), nil
	}
	p := protectedHeader{Algorithm: alg.COSE(), ContentType: h.ContentType, KeyID: h.KeyID, Type: h.Type}
	switch len(h.X5Chain) {
	case 0:
	case 1: // RFC 9360 section 2: a single certificate is a byte string
		p.X5Chain = h.X5Chain[0]
	default:
		p.X5Chain = h.X5Chain
	}
	b, err := cbor.Marshal(p)
	if err != nil || len(h.More) == 0 {
		return b, err
	}
	all := make(map[int64]any, len(h.More)+5)
	c, err := cbor.Bundle.Cursor(b)
	for k := range c.Map() {
		all[k.Int] = c.Raw()
	}
	if err := errors.Join(err, c.Done()); err != nil {
		return nil, err
	}
	for label, v := range h.More {
		if _, twice := all[label]; twice {
			return nil, fmt.Errorf("cose: header %d is given twice", label)
		}
		all[label] = v
	}
	return cbor.Marshal(all)
}

// maxLabels is the most labels of one bucket.
const maxLabels = 16

// Headers is what the two buckets of a message or of one signature say. No label
// stands in both.
type Headers struct {
	// Protected is covered by the signature.
	Protected Header
	// Unprotected may have been changed by anybody.
	Unprotected Header

	algorithm label // as it stands in the protected bucket
	named     bool  // the protected bucket names an algorithm

	limits  cbor.Limits
	buckets [2][]byte // the protected and the unprotected map as they came
}

// A Bucket is one of the two maps of headers.
type Bucket int

// The buckets: what the signature covers, and what anybody may have changed.
const (
	Protected Bucket = iota
	Unprotected
)

// Item returns the header with this label as it stands in the bucket, nil if there
// is none. It is for headers that [Header] has no field for.
func (h *Headers) Item(in Bucket, number int64) cbor.RawMessage {
	if len(h.buckets[in]) < 2 { // nothing, or an empty map
		return nil
	}
	c, err := h.limits.Cursor(h.buckets[in])
	if err != nil {
		panic("cose: internal error: " + err.Error()) // it was read before
	}
	for k := range c.Map() {
		if k == (label{Int: number}) {
			return c.Raw()
		}
	}
	return nil
}

// KeyID returns the kid of either bucket, nil if there is none. It is a hint.
func (h *Headers) KeyID() []byte {
	if h.Protected.KeyID != nil {
		return h.Protected.KeyID
	}
	return h.Unprotected.KeyID
}

// X5Chain returns the certificates of either bucket, nil if there are none.
func (h *Headers) X5Chain() [][]byte {
	if h.Protected.X5Chain != nil {
		return h.Protected.X5Chain
	}
	return h.Unprotected.X5Chain
}

// Algorithm returns the algorithm of the protected header, or
// [ErrUnsupportedAlgorithm]. What the unprotected header says does not count.
func (h *Headers) Algorithm() (keys.Algorithm, error) {
	switch {
	case h.Protected.Algorithm != "":
		return h.Protected.Algorithm, nil
	case !h.named:
		return "", fmt.Errorf("%w: the protected header names no algorithm", ErrMalformed)
	}
	return "", fmt.Errorf("%w: %s", ErrUnsupportedAlgorithm, name(h.algorithm))
}

// verify checks a signature over the bytes message by pub with alg, which must
// be the algorithm of the protected bucket.
func (h *Headers) verify(alg keys.Algorithm, pub keys.PublicKey, message, signature []byte) error {
	if len(signature) == 0 {
		return ErrUnsigned
	}
	named, err := h.Algorithm()
	if err != nil {
		return err
	}
	if named != alg {
		return fmt.Errorf("%w: the header names %s, expected %q", ErrAlgorithm, named, alg)
	}
	return verify(alg, pub, message, signature)
}

// A label names a header: an integer or a text.
type label = cbor.Key

// labels are those of the protected bucket.
type labels struct {
	list [maxLabels]label
	n    int
}

func (l *labels) has(k label) bool { return slices.Contains(l.list[:l.n], k) }

// read reads both buckets. The protected one is the content of a byte string, and
// c stands at the unprotected one.
func (h *Headers) read(protected []byte, c *cbor.Cursor, limits cbor.Limits) error {
	var seen labels
	if err := h.readProtected(protected, &seen, limits); err != nil {
		return err
	}
	from, n := c.Next(), 0
	for k := range c.Map() {
		// RFC 9052 section 3: a label must not occur in both buckets. Refusing
		// equal values too keeps every reader of the message at one answer.
		if seen.has(k) {
			return fmt.Errorf("%w: header %s stands in both buckets", ErrMalformed, name(k))
		}
		if n++; n > maxLabels {
			return fmt.Errorf("%w: more than %d unprotected headers", ErrTooLarge, maxLabels)
		}
		switch k {
		case label{Int: labelAlgorithm}:
			// Not covered by the signature, so it counts for nothing.
		case label{Int: labelCritical}:
			return fmt.Errorf("%w: crit in the unprotected header", ErrMalformed)
		default:
			h.Unprotected.read(k, c)
		}
	}
	h.limits, h.buckets = limits, [2][]byte{protected, from[:len(from)-len(c.Next())]}
	return nil // the caller asks the cursor
}

func (h *Headers) readProtected(encoded []byte, seen *labels, limits cbor.Limits) error {
	if len(encoded) == 0 {
		return nil
	}
	c, err := limits.Cursor(encoded)
	if err != nil {
		return explain("protected header", err)
	}
	var critical []label
	for k := range c.Map() {
		if seen.n == maxLabels {
			return fmt.Errorf("%w: more than %d protected headers", ErrTooLarge, maxLabels)
		}
		seen.list[seen.n] = k
		seen.n++
		switch k {
		case label{Int: labelAlgorithm}:
			h.algorithm, h.named = readLabel(&c), true
		case label{Int: labelCritical}:
			critical = readCritical(&c)
			if c.Err() == nil && len(critical) == 0 {
				return fmt.Errorf("%w: crit names no header", ErrMalformed)
			}
		default:
			h.Protected.read(k, &c)
		}
	}
	if err := c.Done(); err != nil {
		return explain("protected header", err)
	}
	if h.named && !h.algorithm.Word {
		h.Protected.Algorithm, _ = keys.AlgorithmFromCOSE(h.algorithm.Int)
	}
	return checkCritical(critical, seen)
}

// read reads a header that may stand in either bucket.
func (h *Header) read(k label, c *cbor.Cursor) {
	switch k {
	case label{Int: labelKeyID}:
		h.KeyID = c.Bytes()
	case label{Int: labelContentType}:
		h.ContentType = readLabel(c).Text
	case label{Int: labelType}:
		if t := readLabel(c); t.Word {
			h.Type = t.Text
		} else {
			h.Type = t.Int
		}
	case label{Int: labelX5Chain}:
		if c.Kind() != cbor.Array {
			h.X5Chain = [][]byte{c.Bytes()}
			return
		}
		for range c.Array() {
			h.X5Chain = append(h.X5Chain, c.Bytes())
		}
	default:
		c.Skip()
	}
}

// readLabel reads an integer or a text: a label, or a value of that form.
func readLabel(c *cbor.Cursor) label {
	if c.Kind() == cbor.Text {
		return label{Text: c.Text(), Word: true}
	}
	return label{Int: c.Int()}
}

func readCritical(c *cbor.Cursor) []label {
	var critical []label
	for range c.Array() {
		critical = append(critical, readLabel(c))
	}
	return critical
}

// checkCritical refuses a message with a header that its signer wants understood
// and that we do not know (RFC 9052 section 3.1).
func checkCritical(critical []label, seen *labels) error {
	for _, k := range critical {
		switch k {
		case label{Int: labelAlgorithm}, label{Int: labelContentType}, label{Int: labelKeyID}, label{Int: labelType}:
		default:
			return fmt.Errorf("%w: %s", ErrCrit, name(k))
		}
		if !seen.has(k) {
			return fmt.Errorf("%w: crit names header %s, which is not protected", ErrMalformed, name(k))
		}
	}
	return nil
}

// name is a label for an error text.
func name(k label) string { return cut(k.Name()) }

// cut quotes and shortens a word that came from outside.
func cut(s string) string {
	const most = 40
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strconv.Quote(s)
}

// explain turns an error of the CBOR reader into one of ours.
func explain(what string, err error) error {
	if errors.Is(err, cbor.ErrTooLarge) {
		return fmt.Errorf("%w: %s: %v", ErrTooLarge, what, err)
	}
	return fmt.Errorf("%w: %s: %v", ErrMalformed, what, err)
}
