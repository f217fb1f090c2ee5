package verification

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/qr"
)

// MaxInput is the most bytes of an input: an SD-JWT of the largest size.
const MaxInput = 128 << 10

// KindCOSE is the kind of an input that is the bytes of a COSE message, as they
// are or in hex or base64. Other kinds are those of package qr.
const KindCOSE = "cose"

// An Input is what was presented, as far as its form tells.
type Input struct {
	// Kind is [KindCOSE] or a kind of package qr.
	Kind string
	// Message is the COSE message, or the SD-JWT as it stands.
	Message []byte
	// Text is the text of a code; empty if bytes were presented.
	Text string
}

// Open recognises what was presented (the text of a code, an SD-JWT, the bytes of
// a message, or those in hex or base64) and unpacks it. It checks nothing else.
// An error is a [*credential.RejectedError]; the kind is set as far as it is
// known.
func Open(b []byte) (Input, error) {
	if len(b) > MaxInput {
		// How much longer it is a reader that stops at the limit does not know.
		return Input{Kind: string(qr.Unknown)}, credential.Reject(credential.TooLarge, "input of more than %d bytes", MaxInput)
	}
	if !utf8.Valid(b) { // the bytes of a signature never are
		if isMessage(b) {
			return Input{Kind: KindCOSE, Message: b}, nil
		}
		return Input{Kind: string(qr.Unknown)}, credential.Reject(credential.UnknownFormat, "neither text nor a COSE message")
	}
	text := strings.TrimPrefix(string(b), "\ufeff")
	kind := qr.Recognise(text)
	in := Input{Kind: string(kind), Text: text}
	switch {
	case kind.Readable():
		message, err := qr.Decode(text)
		if errors.Is(err, qr.ErrTooLarge) {
			return in, credential.Reject(credential.TooLarge, "%v", err)
		}
		if err != nil {
			return in, credential.Reject(credential.Malformed, "%v", err)
		}
		in.Message = message
		return in, nil
	case kind == qr.SDJWT:
		in.Message = []byte(strings.TrimSpace(text))
		return in, nil
	case kind == qr.Unknown:
		if message, ok := dump(text); ok {
			return Input{Kind: KindCOSE, Message: message}, nil
		}
		return in, credential.Reject(credential.UnknownFormat, "not a kind of code that we know")
	}
	return in, credential.Reject(credential.UnsupportedFormat, "%s, which is not checked here", strings.ReplaceAll(string(kind), "_", " "))
}

// isMessage reports whether b begins like a COSE message: a tag of RFC 9052
// table 1, the CWT tag, or an untagged array of four.
func isMessage(b []byte) bool {
	if len(b) < 2 {
		return false
	}
	switch b[0] {
	case 0x84, 0xd0, 0xd1, 0xd2:
		return true
	case 0xd8:
		return b[1] == 61 || b[1] >= 96 && b[1] <= 98
	}
	return false
}

// dump undoes hex and base64 of either alphabet, padded or not.
func dump(text string) ([]byte, bool) {
	text = strings.Join(strings.Fields(text), "")
	if b, err := hex.DecodeString(text); err == nil && isMessage(b) {
		return b, true
	}
	text = strings.TrimRight(text, "=")
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if b, err := e.DecodeString(text); err == nil && isMessage(b) {
			return b, true
		}
	}
	return nil, false
}
