package audit

import (
	"errors"
	"fmt"
	"math/bits"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// MaxBlock is the greatest number of events of one call of [Append].
const MaxBlock = 16384

// A Hash is a SHA-256 hash of the log's Merkle tree.
type Hash = tlog.Hash

// A Head names a whole log: how many entries it has and the root hash over them.
type Head struct {
	Size int64
	Root Hash
}

// A Storage keeps the entries and hashes of one log. Its methods are called
// inside one transaction of the caller: what Append stores becomes durable with
// the act that it records, or not at all, and no other transaction appends
// meanwhile.
type Storage interface {
	// Tail returns the number of entries and the time of the last one (zero if
	// there is none).
	Tail() (size int64, last time.Time, err error)

	// Hashes returns the hashes at these places of the hash sequence, in the
	// order asked for. See Block.Hashes.
	Hashes(places []int64) ([]Hash, error)

	// Append stores a block behind the last one. It reports an error if the
	// block does not continue the log.
	Append(b Block) error
}

// A Block is what one call of [Append] adds to a log.
type Block struct {
	// First is the number of the first entry, which is the size of the log so
	// far. Last is the time of the last one.
	First int64
	Last  time.Time
	// Entries are the lines without line breaks.
	Entries [][]byte
	// Hashes go into the log's hash sequence from place FirstHash on. The
	// sequence holds, for every entry, its leaf hash and then the hash of each
	// subtree which that entry completes (tlog.StoredHashIndex).
	FirstHash int64
	Hashes    []Hash
}

// Append adds events to the log in this order and returns the new head. Times
// never go back within a log: an event that claims to be earlier than the entry
// before it gets that entry's time, so a clock that was set back shows as a halt
// and cannot be used to place an act in the past.
func Append(s Storage, events []Event) (Head, error) {
	if len(events) > MaxBlock {
		return Head{}, fmt.Errorf("audit: %d events in one block, at most %d", len(events), MaxBlock)
	}
	size, last, err := s.Tail()
	if err != nil {
		return Head{}, fmt.Errorf("audit: read tail: %w", err)
	}
	t, err := loadTree(s, size)
	if err != nil {
		return Head{}, err
	}
	if len(events) == 0 {
		return t.head(), nil
	}
	b := Block{First: size, FirstHash: tlog.StoredHashCount(size)}
	b.Entries = make([][]byte, 0, len(events))
	b.Hashes = make([]Hash, 0, 2*len(events)+64)
	text := make([]byte, 0, 400*len(events))
	for _, e := range events {
		e.Time = e.Time.Truncate(time.Millisecond)
		if e.Time.Before(last) && !e.Time.IsZero() {
			e.Time = last
		}
		last = e.Time
		start := len(text)
		if text, err = e.appendEntry(text, t.size); err != nil {
			return Head{}, fmt.Errorf("audit: %w", err)
		}
		entry := text[start:len(text):len(text)]
		b.Entries = append(b.Entries, entry)
		b.Hashes = t.add(tlog.RecordHash(entry), b.Hashes)
	}
	b.Last = last
	if err := s.Append(b); err != nil {
		return Head{}, fmt.Errorf("audit: append: %w", err)
	}
	return t.head(), nil
}

// HeadAt returns the head that the log had when it had this many entries, as
// its stored hashes tell.
func HeadAt(s Storage, size int64) (Head, error) {
	now, _, err := s.Tail()
	if err != nil {
		return Head{}, fmt.Errorf("audit: read tail: %w", err)
	}
	if size < 0 || size > now {
		return Head{}, fmt.Errorf("audit: the log has %d entries and never had %d", now, size)
	}
	t, err := loadTree(s, size)
	if err != nil {
		return Head{}, err
	}
	return t.head(), nil
}

// A tree is the right edge of a Merkle tree: the roots of the complete subtrees
// that it is made of, largest first. That is all one needs to add to it.
type tree struct {
	size int64
	edge []Hash
}

// loadTree reads the edge of a tree of this size.
func loadTree(s Storage, size int64) (*tree, error) {
	if size < 0 {
		return nil, errors.New("audit: negative size")
	}
	t := &tree{size: size}
	if size == 0 {
		return t, nil
	}
	var places []int64
	for begin := int64(0); begin < size; {
		level := bits.Len64(uint64(size-begin)) - 1
		places = append(places, tlog.StoredHashIndex(level, begin>>level))
		begin += 1 << level
	}
	edge, err := s.Hashes(places)
	if err != nil {
		return nil, fmt.Errorf("audit: read hashes: %w", err)
	}
	if len(edge) != len(places) {
		return nil, fmt.Errorf("audit: asked for %d hashes, got %d", len(places), len(edge))
	}
	t.edge = append(make([]Hash, 0, 64), edge...)
	return t, nil
}

// add adds a leaf and appends to stored what goes into the hash sequence.
func (t *tree) add(leaf Hash, stored []Hash) []Hash {
	h := leaf
	stored = append(stored, h)
	// Each trailing one bit of the size is a complete subtree that the new one
	// makes a larger one with.
	for n := t.size; n&1 != 0; n >>= 1 {
		last := len(t.edge) - 1
		h = tlog.NodeHash(t.edge[last], h)
		t.edge = t.edge[:last]
		stored = append(stored, h)
	}
	t.edge = append(t.edge, h)
	t.size++
	return stored
}

// head folds the edge, smallest first (RFC 6962 section 2.1).
func (t *tree) head() Head {
	h := Head{Size: t.size}
	if t.size == 0 {
		h.Root, _ = tlog.TreeHash(0, nil) // the hash of nothing
		return h
	}
	h.Root = t.edge[len(t.edge)-1]
	for i := len(t.edge) - 2; i >= 0; i-- {
		h.Root = tlog.NodeHash(t.edge[i], h.Root)
	}
	return h
}
