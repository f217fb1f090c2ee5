package verifier

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/sanad-id/sanad/credential/status"
)

const (
	// maxOpen is the most status lists that are kept open.
	maxOpen = 64
	// maxOpenBytes is the most bytes of all of them; the longest list has a fourth of it.
	maxOpenBytes = 4 * status.MaxBytes
)

// openLists are status lists of issuers known by certificate whose token was verified and
// inflated. They say nothing about which token counts now: that is what the address answers,
// each time. The zero value is empty.
type openLists struct {
	mu    sync.Mutex
	all   map[listKey]*openList
	bytes int
	uses  uint64
}

// A listKey is all that the verification of a token went by beside the time: every byte of it,
// the address that it was asked for at, and the root that vouched for its signer.
type listKey struct {
	token   [32]byte // SHA-256
	address string
	root    *IssuerRoot
}

func keyOfList(token []byte, address string, root *IssuerRoot) listKey {
	return listKey{sha256.Sum256(token), address, root}
}

// An openList is a list with the times between which its verification would have no other
// outcome: from when it was made to the end of token and certificates. It must not be changed.
type openList struct {
	info        *status.TokenInfo
	from, until time.Time
	size        int
	used        uint64 // when, as a count of uses
}

// find returns a list that may be used at a time; nil if none is open, and then the token must
// be verified.
func (o *openLists) find(k listKey, at time.Time) *status.TokenInfo {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := o.all[k]
	if l == nil || at.Before(l.from) || !at.Before(l.until) {
		return nil
	}
	o.uses++
	l.used = o.uses
	return l.info
}

// keep keeps a list that was verified at the time at and may be used until another, and lets
// go of those that have ended and then of those that were not used for longest.
func (o *openLists) keep(k listKey, info *status.TokenInfo, at, until time.Time) {
	l := &openList{info: info, from: at, until: until, size: int(info.List.Size()) * info.List.Bits() / 8}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.drop(k)
	if o.all == nil {
		o.all = map[listKey]*openList{}
	}
	for other, kept := range o.all {
		if !at.Before(kept.until) {
			o.drop(other)
		}
	}
	o.uses++
	l.used = o.uses
	o.all[k] = l
	for o.bytes += l.size; len(o.all) > maxOpen || o.bytes > maxOpenBytes; {
		o.drop(o.oldest())
	}
}

// oldest is the list that was not used for longest.
func (o *openLists) oldest() listKey {
	var oldest listKey
	least := o.uses + 1
	for k, l := range o.all {
		if l.used < least {
			oldest, least = k, l.used
		}
	}
	return oldest
}

func (o *openLists) drop(k listKey) {
	if l := o.all[k]; l != nil {
		o.bytes -= l.size
		delete(o.all, k)
	}
}
