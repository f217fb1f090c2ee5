//go:build !js

package keys

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"sync"

	"github.com/sanad-id/sanad/internal/p256"
)

const (
	// A table costs as much as some 60 verifications and saves half of one each time.
	worthTable = 128
	// maxTables bounds what they take: 13 MB.
	maxTables = 32
	// maxCounted bounds the keys whose verifications are counted. Holders' keys
	// come once each.
	maxCounted = 4096
)

// A Table verifies ES256 signatures of one key faster. It is safe for concurrent
// use.
type Table = p256.Table

// tables are the tables of the keys that verify much, and the counts of others.
var tables struct {
	sync.RWMutex
	of    map[[sha256.Size]byte]*Table
	used  [maxTables][sha256.Size]byte // their keys, in a ring: the oldest makes room
	next  int
	count map[[sha256.Size]byte]int
}

// Table returns what verifies signatures of k faster than its [PublicKey.Crypto],
// with the same answers; nil for a key of another algorithm than ES256, and as long
// as k has not been asked for its table a hundred times or so, since making one takes
// time and memory.
func (k PublicKey) Table() *Table {
	if k.p == nil || k.p.alg.name != ES256 {
		return nil
	}
	tables.RLock()
	t, ok := tables.of[k.p.thumb]
	tables.RUnlock()
	if ok {
		return t // nil while somebody makes it
	}
	if !countTowardsTable(k.p.thumb) {
		return nil
	}
	t, err := p256.New(k.p.key.(*ecdsa.PublicKey))
	if err != nil {
		return nil // not reached: the key is on its curve
	}
	tables.Lock()
	defer tables.Unlock()
	if _, still := tables.of[k.p.thumb]; still {
		tables.of[k.p.thumb] = t
	}
	return t
}

// countTowardsTable counts one verification and reports whether the caller is to
// make the table now.
func countTowardsTable(key [sha256.Size]byte) bool {
	tables.Lock()
	defer tables.Unlock()
	if _, made := tables.of[key]; made {
		return false
	}
	if tables.count == nil || len(tables.count) >= maxCounted {
		tables.count = make(map[[sha256.Size]byte]int)
	}
	tables.count[key]++
	if tables.count[key] < worthTable {
		return false
	}
	delete(tables.count, key)
	if tables.of == nil {
		tables.of = make(map[[sha256.Size]byte]*Table, maxTables)
	}
	delete(tables.of, tables.used[tables.next])
	tables.of[key] = nil
	tables.used[tables.next] = key
	tables.next = (tables.next + 1) % maxTables
	return true
}
