package status

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/cbor"
)

// Status values of section 7.1 of the draft.
const (
	// Valid is the value of an entry that nothing is held against.
	Valid byte = 0
	// Invalid is the value of a revoked entry. It is final.
	Invalid byte = 1
	// Suspended is the value of an entry that is paused and may come back.
	Suspended byte = 2
)

// MaxBytes is how large the bit array of a list may be: 2^27 entries of one bit.
const MaxBytes = 16 << 20

// Errors of lists. Every other failure to read a list is one of them as well.
var (
	// ErrMalformed: the bytes are not a list, set, snapshot, delta or token.
	ErrMalformed = errors.New("status: malformed")
	// ErrTooLarge: a limit on size or count was passed.
	ErrTooLarge = errors.New("status: too large")
	// ErrBits: a number of bits per entry that is not allowed here.
	ErrBits = errors.New("status: bits per entry not allowed")
	// ErrIndex: the index lies beyond the list.
	ErrIndex = errors.New("status: index beyond the list")
	// ErrValue: the value does not fit, or is none that may be written.
	ErrValue = errors.New("status: value not allowed")
)

// A List is the array of status values that a Status List stands for. Reading
// from several goroutines at once is safe, writing is not.
type List struct {
	bits int
	size uint64
	data []byte
}

// NewList returns a list of size entries that are all [Valid], with 1 or 2 bits
// for each. The size must fill whole bytes, because the standard form has no
// other measure of it.
func NewList(bits int, size uint64) (*List, error) {
	if bits != 1 && bits != 2 {
		return nil, fmt.Errorf("%w: %d, want 1 or 2", ErrBits, bits)
	}
	return newList(bits, size, MaxBytes)
}

// newList is NewList with a limit in bytes.
func newList(bits int, size uint64, maxBytes int) (*List, error) {
	per := uint64(8 / bits)
	if size == 0 || size%per != 0 {
		return nil, fmt.Errorf("%w: %d entries of %d bits do not fill whole bytes", ErrMalformed, size, bits)
	}
	if size/per > uint64(limit(maxBytes)) {
		return nil, fmt.Errorf("%w: a list of %d entries", ErrTooLarge, size)
	}
	return &List{bits: bits, size: size, data: make([]byte, size/per)}, nil
}

// limit is the number of bytes a caller allows, where nothing set means
// [MaxBytes] and no caller can allow more than that.
func limit(maxBytes int) int {
	if maxBytes <= 0 {
		return MaxBytes
	}
	return min(maxBytes, MaxBytes)
}

// Bits is the number of bits of an entry: 1, 2, 4 or 8.
func (l *List) Bits() int { return l.bits }

// Size is the number of entries.
func (l *List) Size() uint64 { return l.size }

// Bytes is a copy of the bit array, as it would be compressed.
func (l *List) Bytes() []byte { return bytes.Clone(l.data) }

// SHA256 is the hash of the bit array. It names the state of a list however the
// list is packed.
func (l *List) SHA256() [32]byte { return sha256.Sum256(l.data) }

// Clone returns a copy that can be changed on its own.
func (l *List) Clone() *List {
	return &List{bits: l.bits, size: l.size, data: bytes.Clone(l.data)}
}

// place is the byte of entry i and how far its value is shifted there.
func (l *List) place(i uint64) (at uint64, shift uint) {
	bit := i * uint64(l.bits)
	return bit / 8, uint(bit % 8)
}

// Get returns the value of entry index. An index beyond the list is [ErrIndex].
func (l *List) Get(index uint64) (byte, error) {
	if index >= l.size {
		return 0, fmt.Errorf("%w: %d of %d", ErrIndex, index, l.size)
	}
	return l.get(index), nil
}

func (l *List) get(index uint64) byte {
	at, shift := l.place(index)
	return l.data[at] >> shift & (1<<l.bits - 1)
}

// Set writes one of the three values that have a meaning. It returns [ErrValue]
// for any other and for [Suspended] in a list of one bit. Which change is legal
// is the issuer's business: Set knows no history.
func (l *List) Set(index uint64, value byte) error {
	if index >= l.size {
		return fmt.Errorf("%w: %d of %d", ErrIndex, index, l.size)
	}
	if value > Suspended || value>>l.bits != 0 {
		return fmt.Errorf("%w: %d in a list of %d bits", ErrValue, value, l.bits)
	}
	l.set(index, value)
	return nil
}

func (l *List) set(index uint64, value byte) {
	at, shift := l.place(index)
	mask := byte(1<<l.bits - 1)
	l.data[at] = l.data[at]&^(mask<<shift) | value<<shift
}

// Check says what the list holds against the credential that names this index:
// nil for nothing, otherwise a [*credential.RejectedError] with the reason
// credential.Revoked, Suspended, StatusUnknownValue or StatusOutOfRange.
func (l *List) Check(index uint64) error {
	value, err := l.Get(index)
	if err != nil {
		return credential.Reject(credential.StatusOutOfRange, "status index %d in a list of %d", index, l.size)
	}
	switch value {
	case Valid:
		return nil
	case Invalid:
		return credential.Reject(credential.Revoked, "")
	case Suspended:
		return credential.Reject(credential.Suspended, "")
	default:
		return credential.Reject(credential.StatusUnknownValue, "status value 0x%02x", value)
	}
}

// A wireList is a Status List in CBOR (section 4.3).
type wireList struct {
	Bits        int    `cbor:"bits"`
	List        []byte `cbor:"lst"`
	Aggregation string `cbor:"aggregation_uri,omitempty"`
}

// CBOR returns the Status List as in section 4.3, without an aggregation URI.
func (l *List) CBOR() ([]byte, error) {
	w, err := l.wire()
	if err != nil {
		return nil, err
	}
	return cbor.Marshal(w)
}

func (l *List) wire() (wireList, error) {
	if len(l.data) == 0 {
		return wireList{}, errors.New("status: the list is empty; make it with NewList")
	}
	return wireList{Bits: l.bits, List: deflate(l.data)}, nil
}

// tokenLimits bound the CBOR around a compressed list. A list that does not
// compress at all is a little larger than its bits.
func tokenLimits(maxBytes int) cbor.Limits {
	return cbor.Limits{Bytes: limit(maxBytes) + limit(maxBytes)/64 + 64<<10, Depth: 8, Items: 256}
}

// ParseCBOR reads a Status List in CBOR (section 4.3) that inflates to at most
// maxBytes; zero means [MaxBytes].
func ParseCBOR(b []byte, maxBytes int) (*List, error) {
	var w wireList
	if err := unmarshal(tokenLimits(maxBytes), b, &w); err != nil {
		return nil, fmt.Errorf("read status list: %w", err)
	}
	return w.open(maxBytes)
}

// unmarshal decodes strictly and puts the error into this package's words.
func unmarshal(l cbor.Limits, b []byte, v any) error {
	err := l.Unmarshal(b, v)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cbor.ErrTooLarge):
		return fmt.Errorf("%w: %v", ErrTooLarge, err)
	default:
		return fmt.Errorf("%w: %v", ErrMalformed, err)
	}
}

func (w wireList) open(maxBytes int) (*List, error) {
	switch w.Bits {
	case 1, 2, 4, 8:
	default:
		return nil, fmt.Errorf("%w: %d, want 1, 2, 4 or 8", ErrBits, w.Bits)
	}
	data, err := inflate(w.List, limit(maxBytes))
	if err != nil {
		return nil, err
	}
	if len(data) == 0 {
		return nil, fmt.Errorf("%w: a list of no entries", ErrMalformed)
	}
	return &List{bits: w.Bits, size: uint64(len(data)) * uint64(8/w.Bits), data: data}, nil
}

// ParseJSON reads a Status List in JSON (section 4.2), as it stands in the JWT
// form of a list token. maxBytes is as for [ParseCBOR].
func ParseJSON(b []byte, maxBytes int) (*List, error) {
	m, err := readJSON(b, jsonLimits(maxBytes))
	if err != nil {
		return nil, fmt.Errorf("read status list: %w", err)
	}
	return openJSON(m, maxBytes)
}
