package work_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/officetest"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/work"
	"github.com/sanad-id/sanad/work/worktest"
)

// births is the programme of these tests: two codes, a wallet form, suspension.
const births = `
id: births
version: 1
type: urn:xa:birth:1
labels: {en: Birth certificate}
records: {id_column: id}
validity: {for: 5y}
status: {suspend: true}
freshness: {fresh_for: 7d, old_after: 30d}
person_check: other_id
photo: {policy: none}
claims:
  - {name: number, labels: {en: Number}, type: text, person: id, from: id, required: true}
  - {name: name, labels: {en: Name}, type: text, person: fullName, from: name, required: true}
  - {name: local_name, labels: {en: Local name}, type: text, person: secondaryFullName, from: local}
  - {name: born, labels: {en: Date of birth}, type: date, person: dateOfBirth, from: born}
  - {name: district, labels: {en: District}, type: text, key: 1, from: district}
forms:
  qr: {level: M, max_version: 20}
  strip: {level: M, max_version: 12, claims: [district]}
  wallet: {kind: sd-jwt, vct: "urn:xa:birth-wallet:1", copies: 2}
`

var columns = func() *registry.Columns {
	c, err := registry.NewColumns([]string{"id", "name", "local", "born", "district"})
	if err != nil {
		panic(err)
	}
	return c
}()

// register is a registry in memory that can be changed.
type register struct {
	mu   sync.Mutex
	rows [][]string
	// read counts how often all records were read.
	read int
}

func (r *register) add(id, name, local, born, district string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = append(r.rows, []string{id, name, local, born, district})
}

func (r *register) set(id, column, value string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, _ := columns.Index(column)
	for i, row := range r.rows {
		if row[0] == id {
			r.rows[i] = slices.Clone(row)
			r.rows[i][at] = value
		}
	}
}

func (r *register) remove(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = slices.DeleteFunc(r.rows, func(row []string) bool { return row[0] == id })
}

func (r *register) snapshot() [][]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.rows)
}

func (r *register) Lookup(_ context.Context, id string) (registry.Record, error) {
	for i, row := range r.snapshot() {
		if row[0] == id {
			return registry.NewRecord(id, i+2, columns, row), nil
		}
	}
	return registry.Record{}, registry.ErrNoRecord
}

func (r *register) Records(context.Context) iter.Seq2[registry.Record, error] {
	rows := r.snapshot()
	r.mu.Lock()
	r.read++
	r.mu.Unlock()
	return func(yield func(registry.Record, error) bool) {
		for i, row := range rows {
			if row[0] == "" {
				if !yield(registry.Record{}, &registry.RowError{Line: i + 2, Code: registry.RowNoID}) {
					return
				}
				continue
			}
			if !yield(registry.NewRecord(row[0], i+2, columns, row), nil) {
				return
			}
		}
	}
}

// Mark is the whole content, as simple as it gets.
func (r *register) Mark(context.Context) (registry.Mark, error) {
	var b strings.Builder
	for _, row := range r.snapshot() {
		b.WriteString(strings.Join(row, "\x1f") + "\x1e")
	}
	return registry.Mark(b.String()), nil
}

func (r *register) Changes(ctx context.Context, since registry.Mark) iter.Seq2[registry.Change, error] {
	return func(yield func(registry.Change, error) bool) {
		old := map[string]string{}
		for row := range strings.SplitSeq(string(since), "\x1e") {
			if id, _, ok := strings.Cut(row, "\x1f"); ok {
				old[id] = row
			}
		}
		for i, row := range r.snapshot() {
			text := strings.Join(row, "\x1f")
			kind := registry.Changed
			switch was, ok := old[row[0]]; {
			case !ok:
				kind = registry.Added
			case was == text:
				delete(old, row[0])
				continue
			}
			delete(old, row[0])
			if !yield(registry.Change{Kind: kind, ID: row[0], Record: registry.NewRecord(row[0], i+2, columns, row)}, nil) {
				return
			}
		}
		for id := range old {
			if !yield(registry.Change{Kind: registry.Removed, ID: id}, nil) {
				return
			}
		}
		mark, _ := r.Mark(ctx)
		yield(registry.Change{Kind: registry.Reached, Mark: mark}, nil)
	}
}

func (r *register) Fingerprint(ctx context.Context) (string, error) {
	m, err := r.Mark(ctx)
	return fmt.Sprintf("%x", m), err
}

// service is an issuer over a real one, whose log can be away.
type service struct {
	*officetest.Office
	mu    sync.Mutex
	notes []work.Note
	// away breaks the audit log, fault is asked before and after each act.
	away  error
	fault func(act string, done bool) error
	acts  map[string]int
}

func (s *service) Programme(ctx context.Context, id string, v int) (*programme.Programme, error) {
	return s.Service.Programme(ctx, id, v)
}
func (s *service) Programmes(ctx context.Context) ([]*programme.Programme, error) {
	return s.Service.Programmes(ctx)
}
func (s *service) Pseudonym(_ context.Context, p, r string) (issuance.Pseudonym, error) {
	return s.Service.Pseudonym(p, r), nil
}
func (s *service) Preview(ctx context.Context, p string, r registry.Record) (issuance.Preview, error) {
	return s.Service.Preview(ctx, p, r)
}
func (s *service) Credential(ctx context.Context, id string) (issuance.Credential, error) {
	return s.Service.Credential(ctx, id)
}
func (s *service) Credentials(ctx context.Context, p, r string) ([]issuance.Credential, error) {
	var all []issuance.Credential
	for c, err := range s.DB.Find(ctx, issuance.Query{Programme: p, Record: s.Service.Pseudonym(p, r)}) {
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// act does something once, with the fault that a test wants before or after.
func (s *service) act(name string, f func() error) error {
	s.mu.Lock()
	fault := s.fault
	s.mu.Unlock()
	if fault != nil {
		if err := fault(name, false); err != nil {
			return err
		}
	}
	if err := f(); err != nil {
		return err
	}
	s.mu.Lock()
	s.acts[name]++
	s.mu.Unlock()
	if fault != nil {
		return fault(name, true)
	}
	return nil
}

func (s *service) Issue(ctx context.Context, r issuance.Request) (i issuance.Issued, err error) {
	err = s.act("issue", func() error { i, err = s.Service.Issue(ctx, r); return err })
	return i, err
}
func (s *service) Supersede(ctx context.Context, id string, r issuance.Request) (i issuance.Issued, err error) {
	err = s.act("supersede", func() error { i, err = s.Service.Supersede(ctx, id, r); return err })
	return i, err
}
func (s *service) Revoke(ctx context.Context, id string, r issuance.Reason, actor string) (c issuance.Credential, err error) {
	err = s.act("revoke", func() error { c, err = s.Service.Revoke(ctx, id, r, actor); return err })
	return c, err
}
func (s *service) Suspend(ctx context.Context, id string, r issuance.Reason, actor string) (c issuance.Credential, err error) {
	err = s.act("suspend", func() error { c, err = s.Service.Suspend(ctx, id, r, actor); return err })
	return c, err
}
func (s *service) Resume(ctx context.Context, id, actor string) (c issuance.Credential, err error) {
	err = s.act("resume", func() error { c, err = s.Service.Resume(ctx, id, actor); return err })
	return c, err
}
func (s *service) Note(_ context.Context, n work.Note) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away != nil {
		return s.away
	}
	s.notes = append(s.notes, n)
	return nil
}

// deeds are the notes as words, of the last n.
func (s *service) deeds(n int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, note := range s.notes {
		if note.Phase == work.Intended {
			all = append(all, string(note.Deed))
		}
	}
	return strings.Join(all[max(0, len(all)-n):], " ")
}

// bed is a desk of two districts, North and South, and a head office that sees all.
type bed struct {
	testing.TB
	*work.Desk
	store    *worktest.Memory
	service  *service
	register *register
	config   work.Config
	prefix   string
}

// id is that of record number n.
func (b *bed) id(n int) string { return b.prefix + strconv.Itoa(n) }

var offices = []staff.Office{
	{ID: "north", Name: "North", Column: "district", Values: []string{"North"}},
	{ID: "south", Name: "South", Column: "district", Values: []string{"South"}},
	{ID: "other", Name: "Other work", Programmes: []string{"receipt"}},
}

// person makes an operator.
func person(id, office string, roles ...staff.Role) staff.Operator {
	return staff.Operator{ID: "op-" + id, Name: "Name of " + id, Office: office, Roles: roles, Standing: staff.Active}
}

var (
	clerk    = person("clerk", "north", staff.Clerk)
	approver = person("approver", "north", staff.Approver)
	southern = person("southern", "south", staff.Clerk, staff.Approver)
)

func newBed(t testing.TB, change ...func(*work.Config)) *bed {
	t.Helper()
	return newBedAt(t, newOffice(t), "B-", change...)
}

// newOffice makes an issuer with the programme of these tests.
func newOffice(t testing.TB) *officetest.Office {
	t.Helper()
	o := officetest.New(t, officetest.Options{})
	if _, err := o.Service.AddProgramme(t.Context(), []byte(births), "tester"); err != nil {
		t.Fatal(err)
	}
	return o
}

// newBedAt makes a desk with records of its own at an issuer that others use, too.
func newBedAt(t testing.TB, o *officetest.Office, prefix string, change ...func(*work.Config)) *bed {
	t.Helper()
	b := &bed{TB: t, store: worktest.NewMemory(), service: &service{Office: o, acts: map[string]int{}}, register: &register{}, prefix: prefix}
	for n := 1; n <= 5; n++ {
		b.register.add(b.id(n), "Canary Rahman "+strconv.Itoa(n), "রহমান", "1984-04-1"+strconv.Itoa(n), []string{"South", "North"}[n%2])
	}
	b.config = work.Config{
		Store: b.store, Index: b.store, Issuer: b.service, Secret: o.Keys.Secret, Now: o.Clock.Now,
		Source: func(_ context.Context, id string) (registry.Source, func(), error) {
			if id != "births" {
				return nil, nil, work.ErrNoSource
			}
			return b.register, func() {}, nil
		},
		Offices: func(context.Context) ([]staff.Office, error) { return offices, nil },
		Office: func(_ context.Context, id string) (staff.Office, error) {
			for _, o := range offices {
				if o.ID == id {
					return o, nil
				}
			}
			return staff.Office{}, staff.ErrNoOffice
		},
		Offers: offers{},
	}
	for _, f := range change {
		f(&b.config)
	}
	b.Desk = b.open()
	return b
}

// open is another process on the same stores.
func (b *bed) open(change ...func(*work.Config)) *work.Desk {
	b.Helper()
	c := b.config
	for _, f := range change {
		f(&c)
	}
	d, err := work.New(c)
	if err != nil {
		b.Fatal(err)
	}
	return d
}

// offers makes offers that say for what they are.
type offers struct{}

func (offers) Offer(_ context.Context, r work.OfferRequest) (work.Offer, error) {
	return work.Offer{Link: "openid-credential-offer://" + r.Programme}, nil
}

func (b *bed) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bed) wants(err, want error) {
	b.Helper()
	if !errors.Is(err, want) {
		b.Fatalf("error %v, want %v", err, want)
	}
}

// see is the case of record number n as an operator sees it.
func (b *bed) see(by staff.Operator, n int) *work.Case {
	b.Helper()
	c, err := b.Case(b.Context(), by, b.Ref("births", b.id(n)))
	b.must(err)
	return c
}

// asked is an item for which somebody asked.
func (b *bed) asked(n int) work.Item {
	b.Helper()
	c := b.see(clerk, n)
	reason := issuance.NoReason
	if c.Held() != nil {
		reason = issuance.Lost
	}
	i, err := b.Ask(b.Context(), clerk, work.Ask{Ref: c.Ref, Shown: c.Sheet.Shown, Reason: reason})
	b.must(err)
	return i
}

// agreed is an item to which a second person has agreed.
func (b *bed) agreed(n int) work.Item {
	b.Helper()
	i := b.asked(n)
	s, err := b.Sheet(b.Context(), approver, &i)
	b.must(err)
	i, err = b.Approve(b.Context(), approver, i.ID, s.Shown)
	b.must(err)
	return i
}

// signed is an item that has its credential.
func (b *bed) signed(n int) work.Item {
	b.Helper()
	i, err := b.Run(b.Context(), b.agreed(n).ID)
	b.must(err)
	if i.State != work.Signed || i.Made == "" {
		b.Fatalf("after Run the item is %s (%s)", i.State, i.Problem)
	}
	return i
}

// held is the state of the credentials of record number n, the oldest first.
func (b *bed) held(n int) string {
	b.Helper()
	all, err := b.service.Credentials(b.Context(), "births", b.id(n))
	b.must(err)
	var list []string
	for _, c := range all {
		list = append(list, strings.TrimSpace(string(c.State)+" "+string(c.Reason)))
	}
	return strings.Join(list, ", ")
}

func (b *bed) later(d time.Duration) { b.service.Clock.Add(d) }
