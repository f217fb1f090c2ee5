// Package qr is the text of a Sanad code: how the bytes of a signed credential
// become the characters of an alphanumeric QR code and back, and what the text
// of any other code is.
//
// The text is Base45 (RFC 9285) of a zlib stream (RFC 1950) of a COSE message,
// without a prefix, as the Claim 169 specification 1.2 has it. (Version 1.2.2 also
// allows Brotli for zlib, which is not read here.) The EU and WHO health
// certificate is the same with "HC1:" before it. One message has many texts, so
// nothing may be named or counted by its text.
//
// An issuer needs [Encode]. A verifier asks [Recognise] what it was shown and,
// if that is [Kind.Readable], calls [Decode].
//
// Left to others: what the message says and who signed it (credential/cwt), and
// pictures (qr/image). Nothing here follows a link.
//
// Text over [MaxText] characters is refused before it is decoded, and no more
// than [MaxInflated] bytes are ever inflated.
package qr

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

const (
	// MaxText is the most characters that one alphanumeric QR code holds
	// (version 40, level L).
	MaxText = 4296
	// MaxInflated is the most bytes that the text of a code may unpack to.
	MaxInflated = 16 << 10
)

// ErrTooLarge: the text is longer than any code, or unpacks to more than
// [MaxInflated] bytes.
var ErrTooLarge = errors.New("qr: too large")

// healthPrefix stands before the text of a health certificate, version 1.
const healthPrefix = "HC1:"

// Encode returns the text for a message. Of the ways to write it as a zlib
// stream it takes a short one, since small signed messages often grow when they
// are compressed.
func Encode(message []byte) (string, error) {
	if len(message) > MaxInflated {
		return "", fmt.Errorf("%w: a message of %d bytes, at most %d", ErrTooLarge, len(message), MaxInflated)
	}
	p := packers.Get().(*packer)
	defer packers.Put(p)
	stream := p.pack(message)
	if n := base45Len(len(stream)); n > MaxText {
		return "", fmt.Errorf("%w: %d characters, a code holds %d", ErrTooLarge, n, MaxText)
	}
	return EncodeBase45(stream), nil
}

// Decode returns the message in the text of a code that Recognise calls
// readable. Tabs and line ends around the text are ignored, as keyboards and
// files add them; spaces are not, since a text may end with one, and neither is
// lower case, which no code of this kind has.
func Decode(text string) ([]byte, error) {
	text = strings.TrimPrefix(trim(text), healthPrefix)
	if len(text) > MaxText {
		return nil, fmt.Errorf("%w: %d characters, a code holds %d", ErrTooLarge, len(text), MaxText)
	}
	u := unpackers.Get().(*unpacker)
	defer unpackers.Put(u)
	return u.unpack(text)
}

// trim removes what surrounds the text of a code when it is typed or stored.
func trim(text string) string {
	return strings.Trim(text, "\t\r\n\ufeff")
}

// An unpacker holds the buffers for one text.
type unpacker struct {
	packed   [MaxText/3*2 + 2]byte
	source   bytes.Reader
	inflate  io.ReadCloser // also a zlib.Resetter
	unpacked [MaxInflated + 1]byte
}

var unpackers = sync.Pool{New: func() any { return new(unpacker) }}

func (u *unpacker) unpack(text string) ([]byte, error) {
	stream, err := appendFromBase45(u.packed[:0], text)
	if err != nil {
		return nil, err
	}
	// The inflater reads byte by byte from a bytes.Reader, and so never beyond
	// the end of the stream.
	u.source.Reset(stream)
	if u.inflate == nil {
		u.inflate, err = zlib.NewReader(&u.source)
	} else {
		err = u.inflate.(zlib.Resetter).Reset(&u.source, nil)
	}
	n := 0
	for err == nil && n < len(u.unpacked) {
		var more int
		more, err = u.inflate.Read(u.unpacked[n:])
		n += more
	}
	switch {
	case n > MaxInflated:
		return nil, fmt.Errorf("%w: unpacks to more than %d bytes", ErrTooLarge, MaxInflated)
	case !errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%w: no sound zlib stream", ErrMalformed)
	case u.source.Len() > 0:
		return nil, fmt.Errorf("%w: bytes follow the zlib stream", ErrMalformed)
	}
	return slices.Clone(u.unpacked[:n]), nil
}
