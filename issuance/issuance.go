package issuance

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/programme"
)

// Errors of a [Service] that callers tell apart, beside those of its store.
var (
	// ErrNoProgramme: no such programme is in use.
	ErrNoProgramme = errors.New("issuance: no such programme")
	// ErrRecord: the record cannot be issued for; a [*RecordError] says why.
	ErrRecord = errors.New("issuance: the record cannot be issued for")
	// ErrSelfCheck: what the signer returned is not what was to be signed. It
	// was not released, and the credential is revoked.
	ErrSelfCheck = errors.New("issuance: the signature failed its own check")
	// ErrClock: the clock lies behind what was already issued or published.
	ErrClock = errors.New("issuance: the clock has gone back")
	// ErrClockAhead: the clock lies so far ahead of everything that was done before that it
	// is probably wrong. Nothing is written, since dates never go back.
	ErrClockAhead = errors.New("issuance: the clock is far ahead")
	// ErrAuditDebt: the audit log has gone without a witness for too long. Nothing is
	// issued until one has co-signed it; everything else goes on.
	ErrAuditDebt = errors.New("issuance: the audit log has gone without a witness for too long")
	// ErrAuditContradicted: a witness knows another past of the audit log than the
	// database. Nothing is issued until it has co-signed again; everything else goes on.
	ErrAuditContradicted = errors.New("issuance: a witness has seen another audit log of this issuer")
	// ErrReason: not a reason that an operator may give.
	ErrReason = errors.New("issuance: not a reason for this")
	// ErrNoForm: the programme has no such wallet form, or the issuer no URL to name
	// itself by in one.
	ErrNoForm = errors.New("issuance: no such wallet form")
	// ErrHolders: not holder keys that copies can be made for.
	ErrHolders = errors.New("issuance: not keys to bind copies to")
	// ErrTypeChanged: a wallet type with this vct is in use and described otherwise.
	ErrTypeChanged = errors.New("issuance: a wallet type keeps its description; another one needs another vct")
	// ErrPart: a part of a credential, which is revoked, suspended and resumed with it.
	ErrPart = errors.New("issuance: this is a part of a credential and shares its fate")
	// ErrNotAllowed: the programme does not allow it.
	ErrNotAllowed = errors.New("issuance: the programme does not allow this")
)

// A Point is a place in the issuer's work at which a crash must do no harm.
type Point string

// The points, in the order of the ladder. Tests end the process at each.
const (
	PointAuthorised Point = "authorised" // rung 1: nothing is stored
	PointIntended   Point = "intended"   // rung 2: the intent is durable
	PointSigned     Point = "signed"     // rungs 3 and 4: signed and checked, not marked
	PointSpooled    Point = "spooled"    // a chunk's output is durable, not marked
	PointMarked     Point = "marked"     // rung 5: marked, not released
	PointReleasing  Point = "releasing"  // rung 6 of a batch: files written, not in the manifest
	PointReleased   Point = "released"   // rung 6 is done; a batch keeps its spool
	PointSynced     Point = "synced"     // a batch's output is durable, its spool gone
	PointFinishing  Point = "finishing"  // everything is released, the batch not closed
	PointSwept      Point = "swept"      // leftovers are revoked
	PointPublished  Point = "published"  // a publication is stored, not handed out
)

// Points is every point, for the tests that crash at each.
func Points() []Point {
	return []Point{
		PointAuthorised, PointIntended, PointSigned, PointSpooled, PointMarked, PointReleasing,
		PointReleased, PointSynced, PointFinishing, PointSwept, PointPublished,
	}
}

// Defaults of [Config].
const (
	DefaultListSize       = 1 << 20
	DefaultClockTolerance = time.Minute
)

// Config is what a [Service] needs. Fields without "optional" must be set.
type Config struct {
	// Issuer is the identifier that credentials name as their issuer.
	Issuer string
	// URL is the https address of the issuer, by which wallet forms name it and wallets
	// find its keys. Optional; without it no wallet forms are issued.
	URL string
	// Chain returns the certificate chain of a key in DER, its own certificate first
	// and without the root, or nothing if it has none; it stands in wallet forms.
	// Optional.
	Chain func(keys.ID) [][]byte
	// StatusBase is the URL that the name of a status list is appended to, such
	// as "https://example.org/status/". It stands in every credential.
	StatusBase string
	// Store keeps credentials, slots and the audit log.
	Store Store
	// Keys holds the signing keys.
	Keys keys.Keystore
	// Secret returns the issuer's own 32-byte secret with this label, always the
	// same one. It must be kept as long as the store: with another one records
	// get new pseudonyms and lists give out slots twice, which the store refuses.
	Secret func(label string) ([]byte, error)

	// MayIssue is asked on rung 1, before each credential and each chunk of a batch.
	// Its error stops issuing, and nothing else; [ErrAuditDebt] and [ErrAuditContradicted]
	// are such. Optional. It
	// must not call the service.
	MayIssue func(ctx context.Context, now time.Time) error
	// Queue hands out the chunks of batches that several processes share;
	// optional, there are no such batches if nil.
	Queue Queue
	// Fits says whether a code of so many characters can be drawn for a form;
	// optional, everything fits if nil. Package qr/image knows.
	Fits func(f programme.Form, characters int) error
	// Now is the clock; optional, time.Now if nil.
	Now func() time.Time
	// Rand is the source of randomness; optional, crypto/rand if nil.
	Rand io.Reader
	// ClockTolerance is how far the clock may lie behind the latest date of issue
	// before issuing stops; optional, [DefaultClockTolerance] if 0.
	ClockTolerance time.Duration
	// ListSize is the number of entries of a new status list; optional,
	// [DefaultListSize] if 0. It must be a multiple of 8. A small list tells
	// observers more.
	ListSize uint64
	// Workers is how many goroutines sign; optional, one a core if 0.
	Workers int
	// Crash is called at every [Point]; for tests, nil otherwise.
	Crash func(Point)
}

// A Service issues credentials and changes their state. Its methods may be
// called at once from several goroutines.
type Service struct {
	cfg Config

	recordSecret, idempotencySecret []byte

	mu           sync.Mutex
	permutations map[string]*status.Permutation // by list URI
	programmes   map[[32]byte]*programme.Programme
	lately       map[string]*programme.Programme // the newest versions by id, as of looked
	looked       time.Time
	described    map[describedForm]string // vct#integrity

	singles errands
}

// New returns a Service, or an error that names the field which is missing.
func New(c Config) (*Service, error) {
	switch {
	case c.Issuer == "":
		return nil, errors.New("issuance: Config.Issuer is not set")
	case c.StatusBase == "":
		return nil, errors.New("issuance: Config.StatusBase is not set")
	case !strings.HasSuffix(c.StatusBase, "/"):
		return nil, errors.New("issuance: Config.StatusBase does not end in a slash")
	case c.Store == nil:
		return nil, errors.New("issuance: Config.Store is not set")
	case c.Keys == nil:
		return nil, errors.New("issuance: Config.Keys is not set")
	case c.Secret == nil:
		return nil, errors.New("issuance: Config.Secret is not set")
	}
	if c.MayIssue == nil {
		c.MayIssue = func(context.Context, time.Time) error { return nil }
	}
	if c.Fits == nil {
		c.Fits = func(programme.Form, int) error { return nil }
	}
	if c.Chain == nil {
		c.Chain = func(keys.ID) [][]byte { return nil }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	} else {
		c.Rand = &lockedReader{r: c.Rand}
	}
	if c.ClockTolerance == 0 {
		c.ClockTolerance = DefaultClockTolerance
	}
	if c.ListSize == 0 {
		c.ListSize = DefaultListSize
	}
	if c.Workers == 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	if c.Crash == nil {
		c.Crash = func(Point) {}
	}
	s := &Service{
		cfg: c, permutations: map[string]*status.Permutation{}, programmes: map[[32]byte]*programme.Programme{},
		described: map[describedForm]string{},
	}
	var err error
	if s.recordSecret, err = c.Secret("record pseudonyms"); err != nil {
		return nil, fmt.Errorf("secret of record pseudonyms: %w", err)
	}
	if s.idempotencySecret, err = c.Secret("idempotency keys"); err != nil {
		return nil, fmt.Errorf("secret of idempotency keys: %w", err)
	}
	return s, nil
}

// now is the clock in whole milliseconds UTC, as everything is stored.
func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Millisecond) }

// Pseudonym returns what stands for a registry record in the store and in the
// audit log.
func (s *Service) Pseudonym(programmeID, recordID string) Pseudonym {
	return keyedHash(s.recordSecret, programmeID, recordID)
}

// keyedHash is HMAC-SHA256 over the parts with their lengths, so that no two
// lists of parts have the same input.
func keyedHash(secret []byte, parts ...string) (sum [32]byte) {
	mac := hmac.New(sha256.New, secret)
	for _, p := range parts {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(p)))
		mac.Write(length[:])
		io.WriteString(mac, p)
	}
	mac.Sum(sum[:0])
	return sum
}

// slot returns the index of a counter of a list.
func (s *Service) slot(list string, size, counter uint64) (Slot, error) {
	p, err := s.permutation(list, size)
	if err != nil {
		return Slot{}, err
	}
	return Slot{List: list, Index: p.Index(counter)}, nil
}

// permutation is what turns the counters of a list into slots.
func (s *Service) permutation(list string, size uint64) (*status.Permutation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.permutations[list]
	if p == nil {
		key, err := s.cfg.Secret("status list " + list)
		if err != nil {
			return nil, fmt.Errorf("secret of a status list: %w", err)
		}
		if p, err = status.NewPermutation(key, size); err != nil {
			return nil, fmt.Errorf("slots of list %s: %w", list, err)
		}
		s.permutations[list] = p
	}
	return p, nil
}

// sizeSlots notes the sizes of the lists of slots that were given out.
func (s *Service) sizeSlots(slots []audit.SlotRef) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range slots {
		if p := s.permutations[slots[i].URI]; p != nil {
			slots[i].Size = p.Size()
		}
	}
}

// parallel is [parallel] on the service's workers.
func (s *Service) parallel(n int, f func(i int) error) error { return parallel(s.cfg.Workers, n, f) }

// parallel calls f(0) … f(n-1) on so many goroutines. After an error it begins
// no more calls; it returns the first error by index.
func parallel(workers, n int, f func(i int) error) error {
	if workers = min(workers, n); workers <= 1 {
		for i := range n {
			if err := f(i); err != nil {
				return err
			}
		}
		return nil
	}
	var (
		next   atomic.Int64
		mu     sync.Mutex
		first  = n
		failed error
		wg     sync.WaitGroup
	)
	for range workers {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := f(i); err != nil {
					mu.Lock()
					if i < first {
						first, failed = i, err
					}
					mu.Unlock()
					next.Store(int64(n))
				}
			}
		})
	}
	wg.Wait()
	return failed
}

// lockedReader makes a source of randomness that was passed in safe for use by
// several workers.
type lockedReader struct {
	mu sync.Mutex
	r  io.Reader
}

func (l *lockedReader) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return io.ReadFull(l.r, p)
}

// detached is ctx without its end: once an intent is stored the ladder is
// climbed to its end, or what is left is cleared away, whoever stopped waiting.
func detached(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }
