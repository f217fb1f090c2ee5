package qr

import (
	"errors"
	"fmt"
)

// alphabet is the 45 characters of the alphanumeric mode of QR codes
// (RFC 9285 table 1).
const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"

// digits maps a byte to its value in the alphabet, or to 255.
var digits = func() (d [256]byte) {
	for i := range d {
		d[i] = 255
	}
	for v, c := range []byte(alphabet) {
		d[c] = byte(v)
	}
	return d
}()

// ErrMalformed: the text is not Base45, or what it holds is not the envelope.
var ErrMalformed = errors.New("qr: malformed")

// EncodeBase45 encodes b (RFC 9285 section 4): two bytes become three
// characters, and a single last byte becomes two.
func EncodeBase45(b []byte) string {
	return string(appendBase45(make([]byte, 0, base45Len(len(b))), b))
}

// base45Len is the number of characters for n bytes.
func base45Len(n int) int { return n/2*3 + n%2*2 }

func appendBase45(dst, b []byte) []byte {
	for ; len(b) > 1; b = b[2:] {
		n := uint32(b[0])<<8 | uint32(b[1])
		tens := n / 45
		hundreds := tens / 45
		dst = append(dst, alphabet[n-45*tens], alphabet[tens-45*hundreds], alphabet[hundreds])
	}
	if len(b) == 1 {
		dst = append(dst, alphabet[b[0]%45], alphabet[b[0]/45])
	}
	return dst
}

// DecodeBase45 decodes s (RFC 9285 section 5). Each value has one spelling only:
// lower case, other characters, groups beyond the range and a single character
// left over are refused.
func DecodeBase45(s string) ([]byte, error) {
	return appendFromBase45(make([]byte, 0, len(s)/3*2+1), s)
}

func appendFromBase45(dst []byte, s string) ([]byte, error) {
	if len(s)%3 == 1 {
		return nil, fmt.Errorf("%w: base45 text of %d characters", ErrMalformed, len(s))
	}
	i := 0
	for ; len(s)-i >= 3; i += 3 {
		c, d, e := digits[s[i]], digits[s[i+1]], digits[s[i+2]]
		n := uint(c) + 45*uint(d) + 2025*uint(e)
		if c|d|e == 255 || n > 0xffff {
			return nil, fmt.Errorf("%w: no base45 at character %d", ErrMalformed, i+1)
		}
		dst = append(dst, byte(n>>8), byte(n))
	}
	if i < len(s) {
		c, d := digits[s[i]], digits[s[i+1]]
		n := uint(c) + 45*uint(d)
		if c|d == 255 || n > 0xff {
			return nil, fmt.Errorf("%w: no base45 at character %d", ErrMalformed, i+1)
		}
		dst = append(dst, byte(n))
	}
	return dst, nil
}
