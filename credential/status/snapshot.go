package status

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math/bits"
	"time"

	"github.com/sanad-id/sanad/internal/cbor"
)

// Errors of snapshots and deltas.
var (
	// ErrSnapshotHash: the list rebuilt is not the one that was packed.
	ErrSnapshotHash = errors.New("status: snapshot does not give the list it was made from")
	// ErrOtherBase: the delta starts from another snapshot.
	ErrOtherBase = errors.New("status: delta belongs to another snapshot")
	// ErrUnrevoke: an entry that was revoked is to become something else.
	ErrUnrevoke = errors.New("status: a revoked entry cannot come back")
	// ErrBackwards: the newer list was made before the older one.
	ErrBackwards = errors.New("status: list goes back in time")
)

// A Snapshot is a list of 1 or 2 bits packed for a trust bundle: what names the
// list and its state, and the indexes with a value, each as an encoded set
// ([EncodeSet]). It is signed with the bundle, not by itself. The hash is that
// of the standard list, so a packed list can never silently differ from it.
//
// In CBOR a snapshot is a map with the keys 1 uri, 2 bits, 3 size, 4 issued at
// (seconds), 5 SHA-256, 6 revoked, 7 suspended, 8 issued.
type Snapshot struct {
	// URI is the URI of the list, as credentials name it.
	URI string
	// Bits and Size are those of the list.
	Bits int
	Size uint64
	// IssuedAt is when the list was made, in whole seconds. Verdicts show it.
	IssuedAt time.Time
	// SHA256 is [List.SHA256] of the list.
	SHA256 [32]byte
	// Revoked and Suspended are the sets of indexes with these values. Suspended
	// is nil for a list of one bit.
	Revoked, Suspended []byte
	// Issued is the set of slots that were given out. It is stated once no more
	// will be, after a theft of the signing key: a credential that names a slot
	// outside was forged. Nil if nothing is stated.
	Issued []byte
}

// NewSnapshot packs a list.
func NewSnapshot(uri string, l *List, issuedAt time.Time) (Snapshot, error) {
	if err := checkURI(uri); err != nil {
		return Snapshot{}, err
	}
	if l.bits != 1 && l.bits != 2 {
		return Snapshot{}, fmt.Errorf("%w: a snapshot of %d bits", ErrBits, l.bits)
	}
	if !wholeSecond(issuedAt) {
		return Snapshot{}, errors.New("status: snapshot needs the time its list was made, in whole seconds")
	}
	counts := l.counts()
	if counts[3] > 0 {
		return Snapshot{}, fmt.Errorf("%w: a snapshot of value 3", ErrValue)
	}
	s := Snapshot{URI: uri, Bits: l.bits, Size: l.size, IssuedAt: issuedAt.UTC(), SHA256: l.SHA256()}
	s.Revoked = encodeSet(l.indexes(Invalid), counts[Invalid], l.size)
	if l.bits == 2 {
		s.Suspended = encodeSet(l.indexes(Suspended), counts[Suspended], l.size)
	}
	return s, nil
}

// wholeSecond reports whether t is set and has no fraction, which would be lost.
func wholeSecond(t time.Time) bool { return !t.IsZero() && t.Nanosecond() == 0 }

// counts is how many entries of a list of 1 or 2 bits have each value.
func (l *List) counts() (n [4]uint64) {
	const low = 0x5555555555555555
	l.words(func(_ uint64, w uint64) bool {
		if l.bits == 1 {
			n[Invalid] += uint64(bits.OnesCount64(w))
			return true
		}
		lo, hi := w&low, w>>1&low
		n[1] += uint64(bits.OnesCount64(lo &^ hi))
		n[2] += uint64(bits.OnesCount64(hi &^ lo))
		n[3] += uint64(bits.OnesCount64(lo & hi))
		return true
	})
	n[Valid] = l.size - n[1] - n[2] - n[3]
	return n
}

// indexes yields the entries of a list of 1 or 2 bits with this value other
// than [Valid], in ascending order.
func (l *List) indexes(value byte) iter.Seq[uint64] {
	const low = 0x5555555555555555
	return func(yield func(uint64) bool) {
		l.words(func(first, w uint64) bool {
			if l.bits == 2 {
				lo, hi := w&low, w>>1&low
				switch value {
				case 1:
					w = lo &^ hi
				case 2:
					w = hi &^ lo
				default:
					w = lo & hi
				}
			}
			for ; w != 0; w &= w - 1 {
				if !yield(first + uint64(bits.TrailingZeros64(w)/l.bits)) {
					return false
				}
			}
			return true
		})
	}
}

// words calls f with each eight bytes of the list, the last filled with zeros,
// and the index of their first entry, until f returns false.
func (l *List) words(f func(first, word uint64) bool) {
	per := uint64(64 / l.bits)
	first := uint64(0)
	rest := l.data
	for ; len(rest) >= 8; rest = rest[8:] {
		if !f(first, binary.LittleEndian.Uint64(rest)) {
			return
		}
		first += per
	}
	if len(rest) > 0 {
		var last [8]byte
		copy(last[:], rest)
		f(first, binary.LittleEndian.Uint64(last[:]))
	}
}

// WithIssued returns the snapshot with the statement that these slots, in
// ascending order, and no others were ever given out.
func (s Snapshot) WithIssued(slots []uint64) (Snapshot, error) {
	set, err := EncodeSet(slots, s.Size)
	if err != nil {
		return Snapshot{}, err
	}
	s.Issued = set
	return s, nil
}

// Open rebuilds the list and compares its hash: [ErrSnapshotHash] if it is not
// the list that was packed. maxBytes is as for [ParseCBOR].
func (s Snapshot) Open(maxBytes int) (*List, error) {
	l, err := s.blank(s.Bits, maxBytes)
	if err != nil {
		return nil, err
	}
	if err := l.apply(s.Revoked, Invalid); err != nil {
		return nil, fmt.Errorf("open snapshot: revoked: %w", err)
	}
	if s.Bits == 2 {
		if err := l.apply(s.Suspended, Suspended); err != nil {
			return nil, fmt.Errorf("open snapshot: suspended: %w", err)
		}
	}
	if l.SHA256() != s.SHA256 {
		return nil, ErrSnapshotHash
	}
	return l, nil
}

// OpenIssued rebuilds the set of slots that were given out, as a list of one bit
// in which 1 means given out. It returns nil if the snapshot states nothing.
func (s Snapshot) OpenIssued(maxBytes int) (*List, error) {
	if s.Issued == nil {
		return nil, nil
	}
	// A list of one bit has whole bytes, but one of two may end half way.
	l, err := s.blank(1, maxBytes)
	if err != nil {
		return nil, err
	}
	if err := l.apply(s.Issued, 1); err != nil {
		return nil, fmt.Errorf("open snapshot: issued: %w", err)
	}
	return l, nil
}

// blank is an empty list of the snapshot's size.
func (s Snapshot) blank(bits, maxBytes int) (*List, error) {
	if s.Bits != 1 && s.Bits != 2 {
		return nil, fmt.Errorf("%w: a snapshot of %d bits", ErrBits, s.Bits)
	}
	if bits != s.Bits {
		per := uint64(8 / bits)
		l, err := newList(bits, (s.Size+per-1)/per*per, maxBytes)
		if err == nil {
			l.size = s.Size
		}
		return l, err
	}
	return newList(bits, s.Size, maxBytes)
}

// apply gives the members of an encoded set this value. Each must have been
// [Valid] before.
func (l *List) apply(set []byte, value byte) error {
	h, err := readSetHead(set, l.size)
	if err != nil {
		return err
	}
	return h.each(func(x uint64) error {
		if l.get(x) != Valid {
			return fmt.Errorf("%w: entry %d has two values", ErrMalformed, x)
		}
		l.set(x, value)
		return nil
	})
}

type wireSnapshot struct {
	URI       string `cbor:"1,keyasint"`
	Bits      int    `cbor:"2,keyasint"`
	Size      uint64 `cbor:"3,keyasint"`
	IssuedAt  int64  `cbor:"4,keyasint"`
	SHA256    []byte `cbor:"5,keyasint"`
	Revoked   []byte `cbor:"6,keyasint"`
	Suspended []byte `cbor:"7,keyasint,omitempty"`
	Issued    []byte `cbor:"8,keyasint,omitempty"`
}

// packLimits bound one snapshot or delta. The largest set that a list of
// [MaxBytes] can need is about as large as the list.
var packLimits = cbor.Limits{Bytes: 3 * MaxBytes, Depth: 4, Items: 64}

// MarshalCBOR returns the snapshot in deterministic CBOR.
func (s Snapshot) MarshalCBOR() ([]byte, error) {
	return cbor.Marshal(wireSnapshot{s.URI, s.Bits, s.Size, s.IssuedAt.Unix(), s.SHA256[:], s.Revoked, s.Suspended, s.Issued})
}

// ParseSnapshot reads a snapshot in CBOR. Its sets are not looked at before
// [Snapshot.Open].
func ParseSnapshot(b []byte) (Snapshot, error) {
	var w wireSnapshot
	if err := unmarshal(packLimits, b, &w); err != nil {
		return Snapshot{}, fmt.Errorf("read snapshot: %w", err)
	}
	s := Snapshot{URI: w.URI, Bits: w.Bits, Size: w.Size, Revoked: w.Revoked, Suspended: w.Suspended, Issued: w.Issued}
	if err := checkURI(w.URI); err != nil {
		return Snapshot{}, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	if w.Bits != 1 && w.Bits != 2 {
		return Snapshot{}, fmt.Errorf("%w: a snapshot of %d bits", ErrBits, w.Bits)
	}
	if len(w.SHA256) != len(s.SHA256) || (w.Suspended != nil) != (w.Bits == 2) || !plausible(w.IssuedAt) {
		return Snapshot{}, fmt.Errorf("%w: a snapshot with wrong members", ErrMalformed)
	}
	copy(s.SHA256[:], w.SHA256)
	s.IssuedAt = time.Unix(w.IssuedAt, 0).UTC()
	return s, nil
}

// plausible reports whether a NumericDate lies between 1970 and the year 9999.
func plausible(seconds int64) bool { return seconds > 0 && seconds < 253402300800 }

// A Delta leads from one snapshot of a list to a later one. It is not signed:
// the snapshot that [Snapshot.Apply] returns is checked against its hash, and
// the bundle that carries the snapshot against its signatures.
//
// In CBOR a delta is a map with the keys 1 uri, 2 hash before, 3 hash after, 4
// issued at, 5 now revoked, 6 now suspended, 7 now valid, 8 issued. Empty sets
// are left out, and 8 is left out if it did not change.
type Delta struct {
	// URI is the URI of the list.
	URI string
	// From and To are the hashes of the list before and after.
	From, To [32]byte
	// IssuedAt is when the later list was made.
	IssuedAt time.Time
	// Revoked, Suspended and Valid are the sets of entries that now have this
	// value and had another before. Nil for none.
	Revoked, Suspended, Valid []byte
	// Issued is the later snapshot's Issued if that differs. Nil if it does not.
	Issued []byte
}

// Diff returns the delta that leads from older to newer, two snapshots of one
// list. It returns [ErrOtherBase] for different lists, [ErrBackwards] if newer
// was made before older, and [ErrUnrevoke] if an entry would come back.
func Diff(older, newer Snapshot) (Delta, error) {
	if older.URI != newer.URI || older.Bits != newer.Bits || older.Size != newer.Size {
		return Delta{}, ErrOtherBase
	}
	if newer.IssuedAt.Before(older.IssuedAt) {
		return Delta{}, ErrBackwards
	}
	if older.Issued != nil && newer.Issued == nil {
		return Delta{}, fmt.Errorf("%w: the issued slots are no longer stated", ErrOtherBase)
	}
	before, err := older.Open(MaxBytes)
	if err != nil {
		return Delta{}, err
	}
	after, err := newer.Open(MaxBytes)
	if err != nil {
		return Delta{}, err
	}
	var now [3][]uint64
	for i, x := range changes(before, after) {
		if before.get(i) == Invalid {
			return Delta{}, fmt.Errorf("%w: entry %d", ErrUnrevoke, i)
		}
		now[x] = append(now[x], i)
	}
	d := Delta{URI: newer.URI, From: older.SHA256, To: newer.SHA256, IssuedAt: newer.IssuedAt}
	for value, set := range []*[]byte{&d.Valid, &d.Revoked, &d.Suspended} {
		if len(now[value]) > 0 {
			if *set, err = EncodeSet(now[value], newer.Size); err != nil {
				return Delta{}, err
			}
		}
	}
	if string(newer.Issued) != string(older.Issued) {
		d.Issued = newer.Issued
	}
	return d, nil
}

// changes yields the entries in which two lists of one shape differ, with the
// value they have in the second.
func changes(before, after *List) iter.Seq2[uint64, byte] {
	return func(yield func(uint64, byte) bool) {
		per := uint64(8 / after.bits)
		for at := range after.data {
			if before.data[at] == after.data[at] {
				continue
			}
			for i := uint64(at) * per; i < uint64(at+1)*per; i++ {
				if x := after.get(i); x != before.get(i) && !yield(i, x) {
					return
				}
			}
		}
	}
}

// Apply returns the later snapshot. It returns [ErrOtherBase] if the delta does
// not start from s, [ErrUnrevoke] if it would bring a revoked entry back, and
// [ErrSnapshotHash] if the result is not the list that the delta was made for.
func (s Snapshot) Apply(d Delta) (Snapshot, error) {
	if d.URI != s.URI || d.From != s.SHA256 {
		return Snapshot{}, ErrOtherBase
	}
	if d.IssuedAt.Before(s.IssuedAt) {
		return Snapshot{}, ErrBackwards
	}
	l, err := s.Open(MaxBytes)
	if err != nil {
		return Snapshot{}, err
	}
	for value, set := range [][]byte{d.Valid, d.Revoked, d.Suspended} {
		if set == nil {
			continue
		}
		if err := l.change(set, byte(value)); err != nil {
			return Snapshot{}, fmt.Errorf("apply delta: %w", err)
		}
	}
	if l.SHA256() != d.To {
		return Snapshot{}, ErrSnapshotHash
	}
	out, err := NewSnapshot(s.URI, l, d.IssuedAt)
	if err != nil {
		return Snapshot{}, err
	}
	out.Issued = s.Issued
	if d.Issued != nil {
		out.Issued = d.Issued
	}
	return out, nil
}

// change gives the members of an encoded set another value than they have.
func (l *List) change(set []byte, value byte) error {
	if value>>l.bits != 0 {
		return fmt.Errorf("%w: %d in a list of %d bits", ErrValue, value, l.bits)
	}
	h, err := readSetHead(set, l.size)
	if err != nil {
		return err
	}
	return h.each(func(x uint64) error {
		switch l.get(x) {
		case Invalid:
			return fmt.Errorf("%w: entry %d", ErrUnrevoke, x)
		case value:
			return fmt.Errorf("%w: entry %d does not change", ErrMalformed, x)
		}
		l.set(x, value)
		return nil
	})
}

type wireDelta struct {
	URI       string `cbor:"1,keyasint"`
	From      []byte `cbor:"2,keyasint"`
	To        []byte `cbor:"3,keyasint"`
	IssuedAt  int64  `cbor:"4,keyasint"`
	Revoked   []byte `cbor:"5,keyasint,omitempty"`
	Suspended []byte `cbor:"6,keyasint,omitempty"`
	Valid     []byte `cbor:"7,keyasint,omitempty"`
	Issued    []byte `cbor:"8,keyasint,omitempty"`
}

// MarshalCBOR returns the delta in deterministic CBOR.
func (d Delta) MarshalCBOR() ([]byte, error) {
	return cbor.Marshal(wireDelta{d.URI, d.From[:], d.To[:], d.IssuedAt.Unix(), d.Revoked, d.Suspended, d.Valid, d.Issued})
}

// ParseDelta reads a delta in CBOR. Its sets are not looked at before
// [Snapshot.Apply].
func ParseDelta(b []byte) (Delta, error) {
	var w wireDelta
	if err := unmarshal(packLimits, b, &w); err != nil {
		return Delta{}, fmt.Errorf("read delta: %w", err)
	}
	d := Delta{URI: w.URI, Revoked: w.Revoked, Suspended: w.Suspended, Valid: w.Valid, Issued: w.Issued}
	if err := checkURI(w.URI); err != nil {
		return Delta{}, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	if len(w.From) != len(d.From) || len(w.To) != len(d.To) || !plausible(w.IssuedAt) {
		return Delta{}, fmt.Errorf("%w: a delta with wrong members", ErrMalformed)
	}
	copy(d.From[:], w.From)
	copy(d.To[:], w.To)
	d.IssuedAt = time.Unix(w.IssuedAt, 0).UTC()
	return d, nil
}
