package issuance

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// crockford is Douglas Crockford's base32: no I, L, O, U.
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// idLength is the length of a credential id: 128 bits in base32, the first two
// of 130 being zero.
const idLength = 26

// newIDs fills ids with new credential ids of this moment, in ascending order: 48
// bits of milliseconds since 1970, so that ids sort by time and rows are stored
// side by side, then 80 random bits, so that nobody guesses a neighbour's.
func newIDs(rnd io.Reader, at time.Time, ids []string) error {
	random := make([]byte, 10*len(ids))
	if _, err := io.ReadFull(rnd, random); err != nil {
		return fmt.Errorf("draw credential ids: %w", err)
	}
	ms := uint64(at.UnixMilli())
	for i := range ids {
		var b [16]byte
		binary.BigEndian.PutUint64(b[:8], ms<<16)
		copy(b[6:], random[10*i:10*i+10])
		ids[i] = encodeID(b)
	}
	slices.Sort(ids)
	return nil
}

// newID is one of [newIDs].
func newID(rnd io.Reader, at time.Time) (string, error) {
	var id [1]string
	err := newIDs(rnd, at, id[:])
	return id[0], err
}

func encodeID(b [16]byte) string {
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	var text [idLength]byte
	for i := idLength - 1; i >= 0; i-- {
		text[i] = crockford[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(text[:])
}

// ValidID reports whether id has the form of a credential or batch id. Only
// such a string is used in a file name or looked up.
func ValidID(id string) bool {
	return len(id) == idLength && id[0] <= '7' && strings.Trim(id, crockford) == ""
}

// newName returns n random characters for the end of a status list's URI.
func newName(rnd io.Reader, n int) (string, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(rnd, b); err != nil {
		return "", fmt.Errorf("draw a list name: %w", err)
	}
	for i := range b {
		b[i] = crockford[b[i]&31]
	}
	return strings.ToLower(string(b)), nil
}
