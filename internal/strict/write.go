package strict

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Raw is JSON that was written by this package, or is known to be as good.
type Raw string

// maxWriteDepth is how deep a value may nest that AppendJSON writes.
const maxWriteDepth = 64

// AppendJSON appends v, which is nil, a bool, int, int64, float64, string, []any,
// map[string]any, [Value], [Raw] or a map or slice of these. Members of maps are sorted by
// name, so that equal values are written alike; those of a Value keep their order. What [Limits.JSON] would refuse is
// not written.
func AppendJSON(dst []byte, v any) ([]byte, error) { return appendJSON(dst, v, maxWriteDepth) }

func appendJSON(dst []byte, v any, depth int) ([]byte, error) {
	if depth == 0 {
		return nil, errors.New("strict: a value nested too deep to be written")
	}
	var err error
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case bool:
		if v {
			return append(dst, "true"...), nil
		}
		return append(dst, "false"...), nil
	case int:
		return AppendInt(dst, int64(v))
	case int64:
		return AppendInt(dst, v)
	case float64:
		return appendFloat(dst, v)
	case string:
		return AppendText(dst, v)
	case []any:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = appendJSON(dst, e, depth-1); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	case map[string]any:
		dst = append(dst, '{')
		for i, name := range memberNames(v) {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = AppendText(dst, name); err != nil {
				return nil, err
			}
			if dst, err = appendJSON(append(dst, ':'), v[name], depth-1); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	case Value:
		return v.append(dst, depth)
	case Raw:
		return append(dst, v...), nil
	}
	return nil, fmt.Errorf("strict: a value of type %T has no JSON form here", v)
}

// append appends v.
func (v Value) append(dst []byte, depth int) ([]byte, error) {
	if depth == 0 {
		return nil, errors.New("strict: a value nested too deep to be written")
	}
	var err error
	switch v.kind {
	case Text:
		return AppendText(dst, v.text)
	case Int:
		return AppendInt(dst, int64(v.bits))
	case Array:
		dst = append(dst, '[')
		for i, e := range v.list {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = e.append(dst, depth-1); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	case Object:
		dst = append(dst, '{')
		for i, e := range v.list {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = AppendText(dst, v.names[i]); err != nil {
				return nil, err
			}
			if dst, err = e.append(append(dst, ':'), depth-1); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	}
	return appendJSON(dst, v.Any(), depth) // null, a bool or a float
}

// memberNames returns the names of the members of m in the order in which they are
// written.
func memberNames(m map[string]any) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// AppendInt appends a whole number that every reader takes alike.
func AppendInt(dst []byte, n int64) ([]byte, error) {
	if n > maxWhole || n < -maxWhole {
		return nil, errors.New("strict: a whole number beyond 2^53")
	}
	return strconv.AppendInt(dst, n, 10), nil
}

func appendFloat(dst []byte, f float64) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, errors.New("strict: a number that is not finite")
	}
	if f == math.Trunc(f) && math.Abs(f) <= maxWhole {
		return AppendInt(dst, int64(f))
	}
	if manyDigits(f) {
		return nil, errors.New("strict: a whole number beyond 2^53")
	}
	b, err := json.Marshal(f) // the shortest form, as in ECMAScript
	if err != nil {
		return nil, fmt.Errorf("strict: %w", err)
	}
	return append(dst, b...), nil
}

// AppendText appends s in quotation marks. It must be UTF-8.
func AppendText(dst []byte, s string) ([]byte, error) {
	if plain(s) {
		return append(append(append(dst, '"'), s...), '"'), nil
	}
	if !utf8.ValidString(s) {
		return nil, errors.New("strict: text that is not UTF-8")
	}
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c < ' ':
			dst = fmt.Appendf(dst, `\u%04x`, c)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"'), nil
}

// plain reports whether s is ASCII that stands in quotation marks as it is.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

var base64url = base64.RawURLEncoding.Strict()

// pairs are the two letters of base64url for each twelve bits, the first one low.
var pairs = func() (t [1 << 12]uint16) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for i := range t {
		t[i] = uint16(letters[i>>6]) | uint16(letters[i&63])<<8
	}
	return t
}()

// AppendBase64URL appends b in base64url without padding. It takes two letters at a time,
// which is twice as fast as encoding/base64.
func AppendBase64URL(dst, b []byte) []byte {
	n, whole := len(dst), len(b)-len(b)%3
	dst = slices.Grow(dst, base64url.EncodedLen(len(b)))
	out := dst[n : n+whole/3*4]
	for i, j := 0, 0; i < whole && j+4 <= len(out); i, j = i+3, j+4 {
		three := uint(b[i])<<16 | uint(b[i+1])<<8 | uint(b[i+2])
		binary.LittleEndian.PutUint16(out[j:], pairs[three>>12])
		binary.LittleEndian.PutUint16(out[j+2:], pairs[three&0xfff])
	}
	return base64url.AppendEncode(dst[:n+len(out)], b[whole:])
}

// Base64URL is b, such as a digest, in base64url without padding.
func Base64URL(b []byte) string {
	var short [88]byte // SHA-512 needs 86
	n := base64url.EncodedLen(len(b))
	if n > len(short) {
		return base64url.EncodeToString(b)
	}
	base64url.Encode(short[:n], b)
	return string(short[:n])
}

// DecodeBase64URL decodes base64url without padding. Every byte string has one
// spelling: line breaks, padding and stray bits in the last letter are refused.
func DecodeBase64URL(s string) ([]byte, error) {
	return AppendDecoded(make([]byte, 0, base64url.DecodedLen(len(s))), s)
}

// AppendDecoded is DecodeBase64URL that appends to dst.
func AppendDecoded(dst []byte, s string) ([]byte, error) {
	// The standard library passes over line breaks.
	if strings.IndexByte(s, '\n') >= 0 || strings.IndexByte(s, '\r') >= 0 {
		return nil, fmt.Errorf("%w: a line break in base64url", ErrMalformed)
	}
	b, err := base64url.AppendDecode(dst, []byte(s))
	if err != nil {
		return nil, fmt.Errorf("%w: not base64url", ErrMalformed)
	}
	return b, nil
}
