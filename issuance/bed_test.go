package issuance_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/registry"
)

// start is when the tests take place.
var start = time.Date(2026, 11, 12, 9, 0, 0, 0, time.UTC)

// card is the programme of most tests: two forms, suspension, five years.
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
  - {name: birth_date, labels: {en: Date of birth}, type: date, person: dateOfBirth, from: born}
  - {name: village, labels: {en: Village}, type: text, key: 1, from: village}
  - {name: plot, labels: {en: Plot size}, type: number, key: 2, from: plot}
forms:
  qr: {level: M, max_version: 20}
  strip: {level: M, max_version: 12, claims: [village]}
`

// many is a programme that allows a record several credentials, in one form.
const many = `
id: receipt
version: 1
type: urn:xa:receipt:1
labels: {en: Receipt}
records: {id_column: id, one_per_record: false}
validity: {for: 90d}
freshness: {fresh_for: 7d, old_after: 30d}
person_check: none
photo: {policy: none}
claims:
  - {name: village, labels: {en: Village}, type: text, key: 1, from: village}
forms:
  qr: {level: M}
`

var columns = func() *registry.Columns {
	c, err := registry.NewColumns([]string{"id", "name", "born", "village", "plot"})
	if err != nil {
		panic(err)
	}
	return c
}()

// canary is the name that every person in these tests bears. It must appear
// nowhere but in credentials.
const canary = "Nurjahan Canary"

// person is record number n of the test register, from 1.
func person(n int) registry.Record {
	id := fmt.Sprintf("F%07d", n)
	return registry.NewRecord(id, n+1, columns,
		[]string{id, canary + " " + strconv.Itoa(n), "1984-04-18", "Jessore Sadar", "1.5"})
}

// changed is the record with another value in one column.
func changed(r registry.Record, column, value string) registry.Record {
	values := make([]string, 0, 5)
	for _, c := range columns.Names() {
		v, _ := r.Value(c)
		if c == column {
			v = value
		}
		values = append(values, v)
	}
	id := r.ID
	if column == "id" {
		id = value
	}
	return registry.NewRecord(id, r.Line, columns, values)
}

// people is a source of n persons. Each oddity takes the place of a record.
type people struct {
	n     int
	odd   map[int]func(registry.Record) (registry.Record, error) // by number, from 1
	print string                                                 // fingerprint
	// at is called before record number n is delivered.
	at func(n int)
}

func (p people) Records(context.Context) iter.Seq2[registry.Record, error] {
	return func(yield func(registry.Record, error) bool) {
		for n := 1; n <= p.n; n++ {
			if p.at != nil {
				p.at(n)
			}
			r, err := person(n), error(nil)
			if f := p.odd[n]; f != nil {
				r, err = f(r)
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

func (p people) Lookup(_ context.Context, id string) (registry.Record, error) {
	n, err := strconv.Atoi(id[1:])
	if err != nil || n > p.n {
		return registry.Record{}, registry.ErrNoRecord
	}
	return person(n), nil
}

func (p people) Fingerprint(context.Context) (string, error) {
	if p.print != "" {
		return p.print, nil
	}
	return fmt.Sprintf("%d persons", p.n), nil
}

func (p people) Mark(context.Context) (registry.Mark, error) { return registry.Mark("1"), nil }

func (p people) Changes(ctx context.Context, _ registry.Mark) iter.Seq2[registry.Change, error] {
	return func(yield func(registry.Change, error) bool) {
		for r, err := range p.Records(ctx) {
			if !yield(registry.Change{Kind: registry.Added, ID: r.ID, Record: r}, err) {
				return
			}
		}
	}
}

// clock is a clock that stands where it is put.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = t
}

func (c *clock) Add(d time.Duration) { c.Set(c.Now().Add(d)) }

// ring is a keystore in memory whose keys are always the same, so that a child
// process has them too. Wrap, if set, stands between the service and a key.
type ring struct {
	mu      sync.Mutex
	keys    []keys.Key
	private map[keys.ID]crypto.Signer
	wrap    func(crypto.Signer) crypto.Signer
}

func newRing() *ring { return &ring{private: map[keys.ID]crypto.Signer{}} }

func (r *ring) Keys(context.Context) ([]keys.Key, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.keys), nil
}

func (r *ring) Signer(_ context.Context, id keys.ID) (keys.Signer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.keys {
		if k.ID() == id {
			s := r.private[id]
			if r.wrap != nil {
				s = r.wrap(s)
			}
			return keys.NewSigner(k, s)
		}
	}
	return nil, keys.ErrNoKey
}

func (r *ring) Generate(_ context.Context, spec keys.Spec) (keys.Key, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k, alg, err := spec.Plan()
	if err != nil {
		return keys.Key{}, err
	}
	private := keyNumber(len(r.keys))
	if k.Public, err = keys.NewPublicKey(alg, private.Public()); err != nil {
		return keys.Key{}, err
	}
	r.keys = append(r.keys, k)
	r.private[k.ID()] = private
	return k, nil
}

func (r *ring) Update(_ context.Context, next keys.Key) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, k := range r.keys {
		if k.ID() == next.ID() {
			if err := k.CheckUpdate(next); err != nil {
				return err
			}
			r.keys[i] = next
			return nil
		}
	}
	return keys.ErrNoKey
}

// keyNumber is the P-256 key that every ring makes as its nth.
func keyNumber(n int) *ecdsa.PrivateKey {
	seed := sha256.Sum256(fmt.Appendf(nil, "issuance test key %d", n))
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:])
	if err != nil {
		panic(err)
	}
	return key
}

// secret derives secrets as a keystore does.
func secret(label string) ([]byte, error) {
	sum := sha256.Sum256([]byte("issuance test secret " + label))
	return sum[:], nil
}

// A bed is an issuer with two programmes and a key, at [start].
type bed struct {
	testing.TB
	clock   *clock
	ring    *ring
	store   issuance.Store
	service *issuance.Service
}

// newBed makes a bed on this store. Its configuration can be changed.
func newBed(t testing.TB, store issuance.Store, change ...func(*issuance.Config)) *bed {
	t.Helper()
	b := &bed{TB: t, clock: &clock{t: start}, ring: newRing(), store: store}
	b.service = b.open(change...)
	if _, err := b.service.FirstKey(t.Context(), keys.Spec{Purpose: keys.Credential}, "tester"); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{card, many} {
		if _, err := b.service.AddProgramme(t.Context(), []byte(text), "tester"); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// open makes another service on the same store and keys, as a restart does.
func (b *bed) open(change ...func(*issuance.Config)) *issuance.Service {
	b.Helper()
	c := issuance.Config{
		Issuer: "xa-office", StatusBase: "https://example.org/status/", Store: watched{b.store, b}, Keys: b.ring, Secret: secret, Now: b.clock.Now,
	}
	for _, f := range change {
		f(&c)
	}
	s, err := issuance.New(c)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// issue issues for a record and must succeed.
func (b *bed) issue(n int) issuance.Issued {
	b.Helper()
	i, err := b.service.Issue(b.Context(), issuance.Request{Programme: "farmer-card", Record: person(n), Actor: "tester"})
	if err != nil {
		b.Fatal(err)
	}
	return i
}

// state is the stored state of a credential.
func (b *bed) state(id string) string {
	b.Helper()
	c, err := b.store.Credential(b.Context(), id)
	if err != nil {
		b.Fatal(err)
	}
	return string(c.State) + " " + string(c.Reason)
}

// all is every credential of the store.
func (b *bed) all(q issuance.Query) []issuance.Credential {
	b.Helper()
	var found []issuance.Credential
	for c, err := range b.store.Find(b.Context(), q) {
		if err != nil {
			b.Fatal(err)
		}
		found = append(found, c)
	}
	return found
}
