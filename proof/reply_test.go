package proof

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/store"
)

// errCut is what a client sees whose line was cut.
var errCut = errors.New("the line was cut")

// A cutStore loses answers of a store.
type cutStore struct {
	*store.DB
	// cut says what becomes of the nth write from now on.
	cut func(n int) outcome
	n   int
}

type outcome int

const (
	answered  outcome = iota
	notStored         // and the answer is an error
	lost              // stored, and the answer is an error
)

func (c *cutStore) Write(ctx context.Context, f func(issuance.Tx) error) error {
	c.n++
	switch c.cut(c.n) {
	case notStored:
		return c.DB.Write(ctx, func(tx issuance.Tx) error { return errors.Join(f(tx), store.ErrOutcomeUnknown) })
	case lost:
		return errors.Join(c.DB.Write(ctx, f), store.ErrOutcomeUnknown)
	}
	return c.DB.Write(ctx, f)
}

// A cutPoint is where an answer is lost.
type cutPoint struct {
	name  string
	write int // the number of the write whose answer is lost
	how   outcome
	point issuance.Point // or where the process breaks off
	reply bool           // or the last answer, on its way to the client
}

var cutPoints = []cutPoint{
	{name: "rung 2, not stored", write: 1, how: notStored},
	{name: "rung 2, stored", write: 1, how: lost},
	{name: "behind rung 2", point: issuance.PointIntended},
	{name: "behind rungs 3 and 4", point: issuance.PointSigned},
	{name: "rung 5, not stored", write: 2, how: notStored},
	{name: "rung 5, stored", write: 2, how: lost},
	{name: "behind rung 5", point: issuance.PointMarked},
	{name: "the reply", reply: true},
}

// TestRepliesAreLost is P12: the answer is lost at one rung after the other, and
// the client asks again as often as it takes. No request ends with two
// credentials that can be used, and each ends with one that the client has.
func TestRepliesAreLost(t *testing.T) {
	onEach(t, func(t *testing.T, engine string) {
		d := newDesk(t, engine)
		_, db := d.open(nil)
		defer db.Close()
		ks, err := keys.OpenFile(d.keys, []byte(keystest.Passphrase))
		if err != nil {
			t.Fatal(err)
		}
		cut := &cutStore{DB: db}
		var at issuance.Point
		s, err := issuance.New(issuance.Config{
			Issuer: workerInstance, StatusBase: "https://example.org/status/", Store: cut, Keys: ks, Secret: ks.Secret, ListSize: 1 << 17,
			Crash: func(p issuance.Point) {
				if p == at {
					panic(errCut)
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		each, violations, first := count(40, 5000), 0, 1
		for _, p := range cutPoints {
			for i := range each {
				c := client{t: t, d: d, s: s, n: first + i, key: fmt.Sprint(p.name, i)}
				began := cut.n
				cut.cut = func(n int) outcome {
					if n-began == p.write {
						return p.how
					}
					return answered
				}
				at = p.point
				c.ask(p.reply)
				at, cut.cut = "", func(int) outcome { return answered }
				violations += c.insist(db)
			}
			first += each
		}
		if _, err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		violations += d.check(true)
		proved(t, "P12", engine, fmt.Sprintf("retries=%d points=%d", each*len(cutPoints), len(cutPoints)), violations)
	})
}

// A client wants one credential for one person, and has a name for its request.
type client struct {
	t   *testing.T
	d   *desk
	s   *issuance.Service
	n   int
	key string
	has []string
}

// ask asks once. If lose is set, the answer does not come.
func (c *client) ask(lose bool) (err error) {
	defer func() {
		if r := recover(); r != nil {
			if r != any(errCut) {
				panic(r)
			}
			err = errCut
		}
	}()
	return c.received(c.s.Issue(c.t.Context(), issuance.Request{
		Programme: "farmer-card", Record: newRecord(c.n), Idempotency: c.key, Actor: "client",
	}))(lose)
}

// received keeps what came.
func (c *client) received(i issuance.Issued, err error) func(lose bool) error {
	return func(lose bool) error {
		if err != nil || lose {
			return errors.Join(err, errCut)
		}
		c.has = append(c.has, i.Credential.ID)
		c.d.with(func(l *ledger) {
			for _, f := range i.Forms {
				l.tokens = append(l.tokens, token{i.Credential.ID, f.Token})
			}
		})
		return nil
	}
}

// insist asks again with the same key, then as the answer says, and looks at
// what the request came to.
func (c *client) insist(db *store.DB) (violations int) {
	c.t.Helper()
	err := c.received(c.s.Issue(c.t.Context(), issuance.Request{
		Programme: "farmer-card", Record: newRecord(c.n), Idempotency: c.key, Actor: "client",
	}))(false)
	if len(c.has) > 1 || err != nil && !errors.Is(err, issuance.ErrIdempotencyUsed) {
		c.t.Errorf("%s: asked again: %v, the client has %v", c.key, err, c.has)
	}
	if err != nil && len(c.has) == 0 { // nothing came: once more, in the place of whatever is there
		if _, err := c.s.Sweep(c.t.Context()); err != nil {
			c.t.Fatal(err)
		}
		err := c.received(c.s.Issue(c.t.Context(), issuance.Request{
			Programme: "farmer-card", Record: newRecord(c.n), Idempotency: c.key + " again", Supersede: true, Actor: "client",
		}))(false)
		if err != nil {
			c.t.Errorf("%s: issued anew: %v", c.key, err)
		}
	}
	var usable []string
	q := issuance.Query{Programme: "farmer-card", Record: c.s.Pseudonym("farmer-card", record(c.n))}
	for k, err := range db.Find(c.t.Context(), q) {
		if err != nil {
			c.t.Fatal(err)
		}
		if k.State != issuance.Revoked {
			usable = append(usable, k.ID)
		}
	}
	if len(usable) != 1 || len(c.has) != 1 || usable[0] != c.has[0] {
		c.t.Errorf("%s: usable are %v, the client has %v", c.key, usable, c.has)
		return 1
	}
	return 0
}
