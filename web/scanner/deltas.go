package scanner

import (
	"bytes"
	"strconv"
	"sync"

	"github.com/sanad-id/sanad/trust"
)

// keepBundles is how many bundles a server remembers to make deltas from. Pages ask every
// six hours.
const keepBundles = 16

// deltas are made from the bundles that were handed out since the server was started, so
// that a page which has one of them loads what changed.
type deltas struct {
	mu   sync.Mutex
	seen []handedOut // the newest last
}

type handedOut struct {
	version uint64
	file    []byte
	delta   []byte // to the newest; nil until somebody asks, empty if there is none
}

// from is the delta that leads from a version to the bundle now, nil if the whole bundle
// has to be sent: to a page that has it already, too, which says so by its tag.
func (d *deltas) from(version string, now []byte) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.note(now)
	v, err := strconv.ParseUint(version, 10, 64)
	if err != nil {
		return nil
	}
	for i := range d.seen[:max(len(d.seen)-1, 0)] {
		s := &d.seen[i]
		if s.version != v {
			continue
		}
		if s.delta == nil {
			s.delta = []byte{}
			if made, err := trust.MakeDelta(s.file, now); err == nil && len(made) < len(now) {
				s.delta = made
			}
		}
		if len(s.delta) > 0 {
			return s.delta
		}
	}
	return nil
}

// note remembers a bundle that is handed out.
func (d *deltas) note(now []byte) {
	if n := len(d.seen); n > 0 && bytes.Equal(d.seen[n-1].file, now) {
		return
	}
	b, err := trust.Open(now)
	if err != nil {
		return
	}
	for i := range d.seen {
		d.seen[i].delta = nil // which led to the one before
	}
	d.seen = append(d.seen, handedOut{version: b.Version, file: now})
	if len(d.seen) > keepBundles {
		d.seen = d.seen[1:]
	}
}
