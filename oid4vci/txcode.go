package oid4vci

import (
	"crypto/rand"
	"fmt"
	"io"
	"math"
	"math/big"
	"strings"
	"unicode"
)

// An InputMode is the alphabet of transaction codes (section 4.1.1).
type InputMode string

// The input modes.
const (
	Numeric InputMode = "numeric"
	AnyText InputMode = "text"
)

// Alphabets of the codes that we make. That of texts leaves out what is taken for one
// another on paper and on the telephone: 0 and O, 1, I and L, 5 and S, 2 and Z, 8 and B,
// and U, which makes words.
const (
	digits  = "0123456789"
	letters = "34679ACDEFGHJKMNPQRTVWXY"
)

// A TxCodeRule is how an issuer makes transaction codes.
type TxCodeRule struct {
	Mode InputMode
	// Length is the number of characters, 4 to 64 digits or 4 to 64 letters.
	Length int
}

func (r TxCodeRule) check() error {
	if r.Mode != Numeric && r.Mode != AnyText {
		return fmt.Errorf("oid4vci: TxCodeRule.Mode is %q", r.Mode)
	}
	if r.Length < 4 || r.Length > maxTxCode {
		return fmt.Errorf("oid4vci: TxCodeRule.Length is %d, want 4 to %d", r.Length, maxTxCode)
	}
	return nil
}

// Codes is how many codes there are, each as likely as any other; [math.MaxInt64] stands
// for that many and more.
func (r TxCodeRule) Codes() int64 {
	codes, each := int64(1), int64(len(r.alphabet()))
	for range r.Length {
		if codes > math.MaxInt64/each {
			return math.MaxInt64
		}
		codes *= each
	}
	return codes
}

func (r TxCodeRule) alphabet() string {
	if r.Mode == AnyText {
		return letters
	}
	return digits
}

// NewTxCode makes a transaction code. One so short is enough only because guesses are
// counted (promise P11): that, and how many codes there must be for it, is the caller's.
func (r TxCodeRule) NewTxCode(rnd io.Reader) (Secret, error) {
	if err := r.check(); err != nil {
		return "", err
	}
	alphabet := r.alphabet()
	n := big.NewInt(int64(len(alphabet)))
	b := make([]byte, r.Length)
	for i := range b {
		at, err := rand.Int(rnd, n)
		if err != nil {
			return "", fmt.Errorf("oid4vci: make transaction code: %w", err)
		}
		b[i] = alphabet[at.Int64()]
	}
	return Secret(b), nil
}

// Input is what an offer says of such codes.
func (r TxCodeRule) Input(description string) *TxCodeInput {
	return &TxCodeInput{Mode: r.Mode, Length: r.Length, Description: description}
}

// Clean is a transaction code as a wallet sends it: what the person typed, for a
// numeric one without spaces and hyphens and with ASCII digits, in whichever script
// they were typed. A text is only trimmed, since the issuer may mean every character.
func (t TxCodeInput) Clean(typed string) Secret {
	if t.Mode == AnyText {
		return Secret(strings.TrimSpace(typed))
	}
	return Secret(clean(typed))
}

// Possible reports whether a cleaned code can be the right one by what the offer says of
// it, so that a slip of the finger costs no guess. Of texts nothing is known: the issuer
// may read them with or without what stands between their groups.
func (t TxCodeInput) Possible(code Secret) bool {
	if t.Mode == AnyText {
		return code != ""
	}
	return code != "" && strings.Trim(string(code), digits) == "" && (t.Length == 0 || len(code) == t.Length)
}

// Clean is a transaction code in the form in which an issuer compares it: without
// spaces and hyphens, digits of any script as ASCII digits, letters as capitals. What
// comes out need not be a possible code.
func (r TxCodeRule) Clean(sent Secret) Secret { return Secret(strings.ToUpper(clean(string(sent)))) }

func clean(s string) string {
	var b strings.Builder
	for _, c := range s {
		switch {
		case unicode.IsSpace(c) || unicode.Is(unicode.Pd, c):
		case unicode.Is(unicode.Nd, c):
			b.WriteByte('0' + digitValue(c))
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// digitValue is the value of a decimal digit. Unicode keeps the ten digits of a script
// together, in order, and blocks of digits apart or in runs of ten.
func digitValue(c rune) byte {
	for _, r := range unicode.Nd.R16 {
		if rune(r.Lo) <= c && c <= rune(r.Hi) {
			return byte((c - rune(r.Lo)) % 10)
		}
	}
	for _, r := range unicode.Nd.R32 {
		if rune(r.Lo) <= c && c <= rune(r.Hi) {
			return byte((c - rune(r.Lo)) % 10)
		}
	}
	return 0
}
