package faulttest_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/store"
)

const instance = "xa-office"

// card is the programme of the tests: two forms, one credential a record.
const card = `
id: farmer-card
version: 1
type: urn:xa:farmer:1
labels: {en: Farmer card}
records: {id_column: id}
validity: {for: 5y}
status: {suspend: true}
freshness: {fresh_for: 7d, old_after: 30d}
person_check: other_id
photo: {policy: none}
claims:
  - {name: name, labels: {en: Name}, type: text, person: fullName, from: name, required: true}
  - {name: village, labels: {en: Village}, type: text, key: 1, from: village}
forms:
  qr: {level: M, max_version: 20}
  strip: {level: M, max_version: 12, claims: [village]}
`

const program = "farmer-card"

var columns = func() *registry.Columns {
	c, err := registry.NewColumns([]string{"id", "name", "village"})
	if err != nil {
		panic(err)
	}
	return c
}()

// person is record number n.
func person(n int) registry.Record {
	id := fmt.Sprintf("F%07d", n)
	return registry.NewRecord(id, n+1, columns, []string{id, fmt.Sprintf("Nurjahan %d", n), "Jessore Sadar"})
}

// count returns how often to do something: on every change, and every night.
func count(change, night int) int {
	switch {
	case os.Getenv("SANAD_SOAK") == "1":
		return night
	case testing.Short():
		return max(change/10, 1)
	}
	return change
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// secret derives secrets as a keystore does.
func secret(label string) ([]byte, error) {
	sum := sha256.Sum256([]byte("fault test secret " + label))
	return sum[:], nil
}

// An issuer is one issuer on one database, of which several processes may be
// open at once.
type issuer struct {
	testing.TB
	owner, service string // URLs of the database
	keys           *keystest.Memory
	next           atomic.Int64 // number of the last record that was asked for
	ledger         ledger
	processes      []*process // that were opened and not ended
}

// newIssuer makes a database in the state in which issuer init leaves it.
func newIssuer(t testing.TB, owner, service string) *issuer {
	t.Helper()
	x := &issuer{TB: t, owner: owner, service: service, keys: &keystest.Memory{}, ledger: ledger{got: map[int]*receipt{}}}
	create(t, owner, service)
	p, err := x.try(t.Context(), service)
	must(t, err)
	_, err = p.FirstKey(t.Context(), keys.Spec{Purpose: keys.Credential, Created: time.Now().Add(-time.Hour)}, "tester")
	must(t, err)
	_, err = p.AddProgramme(t.Context(), []byte(card), "tester")
	must(t, err)
	must(t, p.db.Close())
	return x
}

// A process is one that has the issuer's database open.
type process struct {
	*issuance.Service
	db *store.DB
}

// open opens the database by a URL as another process would, until the test
// ends. The settings can be changed.
func (x *issuer) open(url string, change ...func(*store.Options, *issuance.Config)) *process {
	x.Helper()
	p, err := x.try(x.Context(), url, change...)
	must(x, err)
	x.processes = append(x.processes, p)
	x.Cleanup(func() { _ = p.db.Close() }) // its server may be gone by then
	return p
}

func (x *issuer) try(ctx context.Context, url string, change ...func(*store.Options, *issuance.Config)) (*process, error) {
	o := store.Options{Instance: instance}
	c := issuance.Config{
		Issuer: instance, StatusBase: "https://example.org/status/", Keys: x.keys, Secret: secret, ListSize: 1 << 16, Workers: 1,
	}
	for _, f := range change {
		f(&o, &c)
	}
	db, err := store.Open(ctx, url, o)
	if err != nil {
		return nil, err
	}
	c.Store = db
	s, err := issuance.New(c)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &process{s, db}, nil
}

// A receipt is what a client knows about one record.
type receipt struct {
	id      string
	tokens  [][]byte
	revoked bool // its revocation was acknowledged
	perhaps bool // a revocation was asked for
}

// A ledger is what all clients received.
type ledger struct {
	mu     sync.Mutex
	got    map[int]*receipt // by record number
	errors int              // requests that failed and were made again
	// slowest is the longest that a request took, with its repetitions.
	slowest time.Duration
}

func (l *ledger) receive(n int, i issuance.Issued, took time.Duration) {
	r := &receipt{id: i.Credential.ID}
	for _, f := range i.Forms {
		r.tokens = append(r.tokens, f.Token)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got[n] = r
	l.slowest = max(l.slowest, took)
}

func (l *ledger) fail() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errors++
}

func (l *ledger) note(n int, f func(*receipt)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(l.got[n])
}

func (l *ledger) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.got)
}

// ask is a client that wants a credential for record n: it asks, under the same
// idempotency key after a failure, and anew if it is told that the request was
// interrupted, until it has one or ctx ends. One in eight is then revoked.
func (x *issuer) ask(ctx context.Context, n int, processes []*process) error {
	began := time.Now()
	r := issuance.Request{Programme: program, Record: person(n), Idempotency: fmt.Sprintf("request %d", n), Actor: "tester"}
	for {
		i, err := processes[rand.IntN(len(processes))].Issue(ctx, r)
		if err == nil {
			x.ledger.receive(n, i, time.Since(began))
			break
		}
		x.ledger.fail()
		if errors.Is(err, issuance.ErrIdempotencyUsed) || errors.Is(err, issuance.ErrActiveExists) {
			// What an earlier try left, signed or not, was never received.
			r.Idempotency += " again"
			r.Supersede = true
		}
		if !pause(ctx) {
			return err
		}
	}
	if n%8 != 0 {
		return nil
	}
	var id string
	x.ledger.note(n, func(r *receipt) { id, r.perhaps = r.id, true })
	for {
		_, err := processes[rand.IntN(len(processes))].Revoke(ctx, id, issuance.Lost, "tester")
		if err == nil || errors.Is(err, issuance.ErrFinal) {
			x.ledger.note(n, func(r *receipt) { r.revoked = true })
			return nil
		}
		x.ledger.fail()
		if !pause(ctx) {
			return err
		}
	}
}

// pause waits a little and says whether to go on.
func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(time.Duration(1+rand.IntN(10)) * time.Millisecond):
		return true
	}
}

// storm lets so many clients issue while fail runs, and until each of them has
// come to an end with its last request. Nobody may need longer than patience for
// that.
func (x *issuer) storm(clients int, processes []*process, fail func()) {
	x.Helper()
	const patience = 2 * time.Minute
	ctx, cancel := context.WithCancel(x.Context())
	defer cancel()
	over := make(chan struct{})
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				n := int(x.next.Add(1))
				if err := x.ask(ctx, n, processes); err != nil {
					x.Errorf("no credential for record %d: %v", n, err)
					return
				}
			}
		})
	}
	fail()
	close(over)
	timer := time.AfterFunc(patience, cancel)
	defer timer.Stop()
	wg.Wait()
}

// issue issues for the next record.
func (p *process) issue(x *issuer) error {
	n := int(x.next.Add(1))
	i, err := p.Issue(x.Context(), issuance.Request{Programme: program, Record: person(n), Actor: "tester"})
	if err == nil {
		x.ledger.receive(n, i, 0)
	}
	return err
}

// issued counts the credentials that are recorded at url.
func (x *issuer) issued(url string) int {
	x.Helper()
	p, err := x.try(x.Context(), url, func(o *store.Options, _ *issuance.Config) { o.ReadOnly = true })
	must(x, err)
	defer p.db.Close() // only read
	n := 0
	for _, err := range p.db.Find(x.Context(), issuance.Query{}) {
		must(x, err)
		n++
	}
	return n
}
