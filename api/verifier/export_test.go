package verifier

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/oid4vp"
	"github.com/sanad-id/sanad/store/once"
	"github.com/sanad-id/sanad/store/parties"
	"github.com/sanad-id/sanad/verification"
)

// Move gives the service another address on this machine.
func (s *Service) Move(address string) {
	u, err := url.Parse(address)
	if err != nil {
		panic(err)
	}
	s.URL, s.host = address, u.Hostname()
}

// Deliver sends the webhooks that are due.
func (s *Service) Deliver(ctx context.Context) { s.deliver(ctx) }

// Queued is how many webhooks wait.
func (s *Service) Queued(ctx context.Context) int {
	n := 0
	for i := range hookQueues {
		k := queueKey(i)
		v, err := s.Once.Get(ctx, s.Now(), k.Kind, k.Digest)
		var hooks []hook
		if err == nil && json.Unmarshal(v.Data, &hooks) == nil {
			n += len(hooks)
		}
	}
	return n
}

// MaxFailing is the most failing webhooks of one policy in one queue.
const MaxFailing = maxFailing

// AddFailed puts a webhook that has failed into the first queue.
func (s *Service) AddFailed(ctx context.Context, n int, policy string) error {
	return s.add(ctx, hook{Handle: fmt.Sprintf("0 number %d", n), Policy: policy, Since: s.Now().Unix(), Tries: 1, Next: s.Now().Add(hookPause).Unix()})
}

// LookAround looks at what ages.
func (s *Service) LookAround(ctx context.Context) { s.watch(ctx) }

// Pause is how long an updater waits after so many rounds that brought nothing.
func (u *Updater) Pause(failures int) (time.Duration, error) { return u.pause(failures) }

// Flush stores what was counted.
func (s *Service) Flush(ctx context.Context) error { return s.ledger.flush(ctx) }

// Fold counts what is old for good.
func (s *Service) Fold(ctx context.Context) error { return s.foldTallies(ctx, s.Now()) }

// ReadTally reads the body of an upload.
func ReadTally(b []byte) (*parties.Tally, error) {
	v, err := strict.Limits{Bytes: maxTally, Depth: 4, Items: maxTallyItems}.JSON(b)
	if err != nil {
		return nil, err
	}
	return readTally(v)
}

// A Box is the key of a relying party that results are sealed to, by the secret that it
// is made of.
type Box struct{ secret, Handle string }

// NewBox makes one.
func NewBox(secret string) Box { return Box{secret, handle(secret)} }

// Seal seals as for a transaction of this relying party.
func (b Box) Seal(plain []byte) (*Outcome, error) {
	private, err := box(b.secret)
	if err != nil {
		return nil, err
	}
	tx := &transaction{Handle: b.Handle, Box: private.PublicKey().Bytes()}
	o := &outcome{Handle: b.Handle}
	o.Sealed, err = tx.seal(plain)
	return o, err
}

// Outcome is what the store has of a result.
type Outcome = outcome

// Open opens an outcome with a secret.
func (o *outcome) Open(secret string) ([]byte, error) { return o.open(secret) }

// Encode is what is sealed of a result.
func (r *Result) Encode() ([]byte, error) { return r.encode() }

// Outcome is what the store has of a result.
func (s *Service) Outcome(ctx context.Context, handle string) *outcome {
	o, err := s.outcome(ctx, &transaction{Handle: handle})
	if err != nil {
		return nil
	}
	return o
}

// Disclose reads the result in an outcome.
func (s *Service) Disclose(o *outcome, id string) ([]byte, error) { return s.disclose(o, id) }

// Answering reads, judges and encodes the answer to a request, as often as it is called.
func (s *Service) Answering(ctx context.Context, response string, form url.Values) func() error {
	tx, err := s.find(ctx, once.Response, response)
	return func() error {
		if err != nil {
			return err
		}
		p, request, err := s.request(tx, s.secrets(response))
		if err != nil {
			return err
		}
		read, err := oid4vp.ParseResponse(form, oid4vp.ExpectResponse{Mode: request.ResponseMode, State: request.State})
		if err != nil {
			return err
		}
		result, err := s.judge(context.Background(), s.Now(), p, tx, request, read, nil)
		if err != nil {
			return err
		}
		if result.Verdict == verification.Invalid {
			return fmt.Errorf("%s %v", result.Verdict, result.Reasons)
		}
		plain, err := result.fit()
		if err != nil {
			return err
		}
		o := &outcome{Handle: tx.Handle, Plain: plain}
		_, err = value(outcomeKey(tx.Handle), tx.Until, o)
		return err
	}
}

// ListsOpen are the status lists that are kept open, and their bytes.
func (s *Service) ListsOpen() (n, size int) { return len(s.open.all), s.open.bytes }

// OpenLists are status lists that are kept open.
type OpenLists struct{ openLists }

// Keep keeps a list under a name, as of an address and a root.
func (o *OpenLists) Keep(name, address string, root *IssuerRoot, info *status.TokenInfo, at, until time.Time) {
	o.keep(keyOfList([]byte(name), address, root), info, at, until)
}

// Find finds it again; nil if it is not to be used.
func (o *OpenLists) Find(name, address string, root *IssuerRoot, at time.Time) *status.TokenInfo {
	return o.find(keyOfList([]byte(name), address, root), at)
}

// Size is how many lists there are, with their bytes.
func (o *OpenLists) Size() (n, size int) { return len(o.all), o.bytes }

// Checking judges a proof as often as it is called.
func (s *Service) Checking(ctx context.Context, proof []byte) verification.Report {
	now := s.Now()
	c, err := s.checker(ctx, now, copies{s.OldType, func() time.Time { return now }}, proof)
	if err != nil {
		panic(err)
	}
	return c.Check(proof)
}
