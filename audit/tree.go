package audit

import "golang.org/x/mod/sumdb/tlog"

// A Tree is the Merkle tree over entries that are added one after the other, for
// who reads a log and compares it with what is kept of it. The zero Tree is empty.
type Tree struct {
	tree   tree
	stored []Hash
}

// Add adds an entry, without its line break, and returns what it adds to the log's
// hash sequence (see [Block]), which is good until the next call.
func (t *Tree) Add(entry []byte) []Hash {
	t.stored = t.tree.add(tlog.RecordHash(entry), t.stored[:0])
	return t.stored
}

// Head returns the number of entries and the root over them.
func (t *Tree) Head() Head { return t.tree.head() }
