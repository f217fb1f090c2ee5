// Package cbor encodes and decodes CBOR (RFC 8949) for the whole module: one
// deterministic encoder ([Marshal], section 4.2.1) and one strict decoder
// ([Limits.Unmarshal]). It is the only user of fxamacker/cbor.
//
// Start with the [Limits] that fit: [Token] for anything that came out of a
// code, [Bundle] for trust bundles. Strict means: size, nesting and number of
// elements are limited before anything is built; lengths are definite; no map
// holds a key twice; text is UTF-8; no big number, no not-a-number, no infinity,
// no simple value but false, true and null; and nothing follows the item.
//
// A [Cursor] walks an item without building it. The library has checked the
// bytes by then, so that the cursor only follows lengths that are known to fit;
// a fuzz test keeps the two readers in agreement. It is there because a verified
// code would otherwise cost some forty allocations for its claims alone.
//
// Left to others: what a label or a claim means (internal/cose, credential/cwt).
// Keep what a signature covers as the bytes that came ([RawMessage]); a decoded
// and encoded item need not be those bytes, because the decoder also reads
// integers that are longer than they need be.
package cbor

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"sync/atomic"

	fx "github.com/fxamacker/cbor/v2"
)

// RawMessage is one encoded item, kept as it came.
type RawMessage = fx.RawMessage

// Tag is a tagged item of any kind.
type Tag = fx.Tag

// SimpleValue is a simple value without a meaning of its own (RFC 8949 section 3.3).
// Decoders refuse them but for [Limits.SimpleKey].
type SimpleValue = fx.SimpleValue

// RawTag is a tagged item whose content stays encoded.
type RawTag = fx.RawTag

// Errors that callers tell apart. Anything else that a function here returns is
// a wrong destination, which is a fault of the program.
var (
	// ErrTooLarge: a limit on size, nesting or number of elements is passed.
	ErrTooLarge = errors.New("cbor: over the limit")
	// ErrMalformed: not CBOR, not strict CBOR, or not of the expected shape.
	ErrMalformed = errors.New("cbor: malformed")
)

// Limits bound one item before anything is built from it.
type Limits struct {
	// Bytes is the greatest size of the whole input.
	Bytes int
	// Depth is how deep arrays, maps and tags may nest; at least 4.
	Depth int
	// Items is the most elements of one array or pairs of one map; at least 16.
	Items int
	// SimpleKey is a simple value above 31 that maps may have for a key, as SD-CWT has
	// it; 0 if none may. A [Cursor] takes it nowhere else, and [Limits.Unmarshal] is
	// not for such items.
	SimpleKey byte
}

var (
	// Token is for credentials, status references and everything else that fits
	// a code. What is issued has some dozens of items; more of them are work for a
	// reader, and a code that compresses well has room for thousands (performance P18).
	Token = Limits{Bytes: 16 << 10, Depth: 8, Items: 256}
	// Bundle is for trust bundles.
	Bundle = Limits{Bytes: 8 << 20, Depth: 16, Items: 131072}
)

var encoder = newEncoder()

func newEncoder() fx.EncMode {
	o := fx.CoreDetEncOptions()
	o.NaNConvert, o.InfConvert = fx.NaNConvertReject, fx.InfConvertReject // the decoder refuses them
	o.NilContainers = fx.NilContainerAsEmpty                              // a nil map is a map
	return must(o.EncMode())
}

// Marshal encodes v in the core deterministic form (RFC 8949 section 4.2.1):
// shortest lengths, sorted keys, definite lengths. A nil slice or map is an
// empty one. It trusts the caller that text is UTF-8.
func Marshal(v any) ([]byte, error) { return Append(nil, v) }

func appendByLibrary(b []byte, v any) ([]byte, error) {
	encoded, err := encoder.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("cbor: encode: %v", err)
	}
	return append(b, encoded...), nil
}

// AppendInt appends a whole number.
func AppendInt(b []byte, n int64) []byte {
	if n < 0 {
		return AppendHead(b, Negative, uint64(-1-n))
	}
	return AppendHead(b, Unsigned, uint64(n))
}

// AppendText appends a text, and trusts the caller that it is UTF-8.
func AppendText(b []byte, s string) []byte { return append(AppendHead(b, Text, uint64(len(s))), s...) }

// AppendBytes appends a byte string.
func AppendBytes(b, s []byte) []byte { return append(AppendHead(b, Bytes, uint64(len(s))), s...) }

// AppendHead appends the head of an item of this kind in its shortest form
// (RFC 8949 section 4.2.1): a length, a count, the number of a tag.
func AppendHead(b []byte, kind Kind, n uint64) []byte {
	first := byte(kind) << 5
	switch {
	case n < 24:
		return append(b, first|byte(n))
	case n <= math.MaxUint8:
		return append(b, first|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, first|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, first|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, first|27), n)
}

// Unmarshal decodes the one item that b is into v, under the limits. Into an
// any it gives int64, float64, string, []byte, bool, nil, []any, map[any]any and
// [Tag]; a date tag gives a string in the form of RFC 3339.
func (l Limits) Unmarshal(b []byte, v any) error {
	if len(b) > l.Bytes {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(b), l.Bytes)
	}
	return l.explain(l.decoder().Unmarshal(b, v))
}

// IsDeterministic reports whether b is one item in exactly the form in which
// [Marshal] writes it. Date tags and undefined values count as no; we write none.
func IsDeterministic(b []byte) bool {
	var v any
	if Bundle.Unmarshal(b, &v) != nil {
		return false
	}
	again, err := Marshal(v)
	return err == nil && bytes.Equal(again, b)
}

var diagnoser = must(fx.DiagOptions{
	MaxNestedLevels: Bundle.Depth, MaxArrayElements: Bundle.Items, MaxMapPairs: Bundle.Items,
}.DiagMode())

// Diagnose writes b in diagnostic notation (RFC 8949 section 8) for people who
// look into a code. The text holds whatever b holds, control characters escaped.
func Diagnose(b []byte) (string, error) {
	if len(b) > Bundle.Bytes {
		return "", fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(b), Bundle.Bytes)
	}
	s, err := diagnoser.Diagnose(b)
	if err != nil {
		return "", Bundle.explain(err)
	}
	return s, nil
}

// modes holds the decoder of each Limits that was used. There are as many as
// the program has Limits, a handful.
var modes atomic.Pointer[map[Limits]fx.DecMode]

func (l Limits) decoder() fx.DecMode {
	known := modes.Load()
	if known != nil {
		if m, ok := (*known)[l]; ok {
			return m
		}
	}
	m := must(fx.DecOptions{
		DupMapKey:         fx.DupMapKeyEnforcedAPF,
		MaxNestedLevels:   l.Depth,
		MaxArrayElements:  l.Items,
		MaxMapPairs:       l.Items,
		IndefLength:       fx.IndefLengthForbidden,
		IntDec:            fx.IntDecConvertSignedOrFail,
		MapKeyByteString:  fx.MapKeyByteStringForbidden,
		FieldNameMatching: fx.FieldNameMatchingCaseSensitive,
		TimeTagToAny:      fx.TimeTagToRFC3339Nano,
		SimpleValues:      simple(l.SimpleKey),
		NaN:               fx.NaNDecodeForbidden,
		Inf:               fx.InfDecodeForbidden,
		BignumTag:         fx.BignumTagForbidden,
	}.DecMode())
	grown := map[Limits]fx.DecMode{l: m}
	if known != nil {
		maps.Copy(grown, *known)
	}
	modes.CompareAndSwap(known, &grown) // whoever loses makes it again next time
	return m
}

// simple knows false, true and null and no other simple value but this one, which
// must be above 31 to count.
func simple(known byte) *fx.SimpleValueRegistry {
	var others []func(*fx.SimpleValueRegistry) error
	for v := range 256 {
		if v < 20 || v == 23 || v > 31 && v != int(known) {
			others = append(others, fx.WithRejectedSimpleValue(fx.SimpleValue(v)))
		}
	}
	return must(fx.NewSimpleValueRegistryFromDefaults(others...))
}

// explain turns an error of the library into one of ours. It repeats nothing of
// the input: the library's own texts name keys and numbers that may be personal.
func (l Limits) explain(err error) error {
	switch e := err.(type) {
	case nil:
		return nil
	case *fx.MaxNestedLevelError:
		return fmt.Errorf("%w: nested deeper than %d", ErrTooLarge, l.Depth)
	case *fx.MaxArrayElementsError, *fx.MaxMapPairsError:
		return fmt.Errorf("%w: more than %d elements", ErrTooLarge, l.Items)
	case *fx.IndefiniteLengthError:
		return fmt.Errorf("%w: indefinite length", ErrMalformed)
	case *fx.DupMapKeyError:
		return fmt.Errorf("%w: a key stands twice in one map", ErrMalformed)
	case *fx.ExtraneousDataError:
		return fmt.Errorf("%w: bytes follow the item", ErrMalformed)
	case *fx.UnmarshalTypeError:
		return fmt.Errorf("%w: %s where another kind is expected", ErrMalformed, e.CBORType)
	case *fx.InvalidMapKeyTypeError:
		return fmt.Errorf("%w: a map key of a kind that is not allowed", ErrMalformed)
	case *fx.InvalidUnmarshalError:
		return fmt.Errorf("cbor: decode: %v", err)
	case *fx.SyntaxError, *fx.SemanticError, *fx.UnacceptableDataItemError, *fx.InadmissibleTagContentTypeError:
		return fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: ends too early", ErrMalformed)
	}
	if errors.Is(err, ErrMalformed) || errors.Is(err, ErrTooLarge) {
		return err // from a type that decodes itself by means of this package
	}
	return fmt.Errorf("%w: %w", ErrMalformed, err)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic("cbor: internal error: " + err.Error())
	}
	return v
}
