package verifier

import (
	"sync"
	"time"

	"github.com/sanad-id/sanad/store/once"
)

// maxRecent is how many open transactions are remembered.
const maxRecent = 4096

// recent are transactions whose request a wallet has fetched here a moment ago, by the
// key of their response, so that they need not be read again for the answer. They never
// change. Whether one was answered meanwhile, here or elsewhere, is for the store to say
// in the step that takes the answer.
type recent struct {
	mu  sync.Mutex
	all map[once.Key]*transaction
}

func (r *recent) add(k once.Key, tx *transaction) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil || len(r.all) >= maxRecent {
		r.all = map[once.Key]*transaction{}
	}
	r.all[k] = tx
}

// take returns one that has not expired, once.
func (r *recent) take(k once.Key, now time.Time) (*transaction, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	tx, ok := r.all[k]
	delete(r.all, k)
	return tx, ok && now.Before(time.Unix(tx.Expires, 0))
}
