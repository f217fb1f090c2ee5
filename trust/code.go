package trust

import (
	"fmt"
	"strings"

	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/qr"
)

// Code is the text of a QR code that carries a delta, or a bundle that is small enough:
// Base45 of the file, as the texts of credentials are Base45 of theirs. A file that no
// code holds is ErrTooLarge.
func Code(file []byte) (string, error) {
	raw, err := inflate(file)
	if err != nil {
		return "", fmt.Errorf("code of trust file: %w", err)
	}
	if !isDelta(raw) && !isBundle(raw) {
		return "", fmt.Errorf("code of trust file: %w: neither a bundle nor a delta", ErrMalformed)
	}
	text := qr.EncodeBase45(file)
	if len(text) > qr.MaxText {
		return "", fmt.Errorf("code of trust file: %w: %d characters, a code holds %d", ErrTooLarge, len(text), qr.MaxText)
	}
	return text, nil
}

// FromCode returns the file in the text of such a code, for [Accept] to judge. It is an
// error for any other text, the texts of credentials included.
func FromCode(text string) ([]byte, error) {
	text = strings.Trim(text, "\t\r\n\ufeff")
	if len(text) > qr.MaxText {
		return nil, fmt.Errorf("trust file in a code: %w: %d characters", ErrTooLarge, len(text))
	}
	file, err := qr.DecodeBase45(text)
	if err != nil {
		return nil, fmt.Errorf("trust file in a code: %w: %v", ErrMalformed, err)
	}
	raw, err := inflate(file)
	if err != nil {
		return nil, fmt.Errorf("trust file in a code: %w", err)
	}
	if !isDelta(raw) && !isBundle(raw) {
		return nil, fmt.Errorf("trust file in a code: %w: neither a bundle nor a delta", ErrMalformed)
	}
	return file, nil
}

// isBundle tells a bundle by its tag, that of COSE_Sign.
func isBundle(raw []byte) bool {
	return len(raw) > 1 && raw[0] == byte(cbor.Tagged)<<5|24 && raw[1] == 98
}
