// Package officetest makes whole issuers for tests: keystore, database, journal and
// programmes, small and quick, with a clock of their own. Start with [New].
//
// It is used from tests only.
package officetest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/fsck"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/store"
	"github.com/sanad-id/sanad/trust"
)

// Start is when an office is made.
var Start = time.Date(2026, 11, 12, 9, 0, 0, 0, time.UTC)

// Card is a programme of two codes and a wallet form with suspension, Receipt one of a single form that
// allows a record several credentials.
const (
	Card = `
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
  wallet: {kind: sd-jwt, vct: "urn:xa:farmer-wallet:1", copies: 4}
`
	Receipt = `
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
	// CardTwo is the next version of Card.
	passphrase = "a passphrase for tests"
)

// CardTwo returns the next version of Card.
func CardTwo() string {
	return strings.NewReplacer("\nversion: 1\n", "\nversion: 2\n", "Farmer card", "Card of a farmer", "farmer-wallet:1", "farmer-wallet:2").Replace(Card)
}

// A Clock stands where it is put.
type Clock struct {
	mu sync.Mutex
	t  time.Time
}

// Now is the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

// Add moves the clock.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// Options say what office to make.
type Options struct {
	// Location is where the database is; SQLite in the office's directory if empty.
	Location string
	// Create makes the database; optional, [store.Create] if nil.
	Create func(ctx context.Context, location string, o store.Options) (*store.DB, error)
	// ListSize is the size of status lists; optional, 256 if 0.
	ListSize uint64
	// Journal makes a journal, in the folder journal.
	Journal bool
}

// An Office is an issuer.
type Office struct {
	testing.TB
	Dir     string
	Clock   *Clock
	Keys    *keys.File
	DB      *store.DB
	Service *issuance.Service
	// Folder is where the journal is, empty if there is none.
	Folder   string
	journal  *audit.Journal
	listSize uint64
	roots    [][]byte
}

// Instance names the office in its database.
func (o *Office) Instance() string { return "xa-office " + o.Keys.Identity() }

// New makes an office with an audit, a status list, a trust bundle, a backup and a
// credential key, two programmes and nothing issued. It is closed with the test.
func New(t testing.TB, with Options) *Office {
	t.Helper()
	o := &Office{TB: t, Dir: t.TempDir(), Clock: &Clock{t: Start}, listSize: with.ListSize}
	if o.listSize == 0 {
		o.listSize = 256
	}
	var err error
	cost := keys.Cost{Time: 1, Memory: 8, Threads: 1}
	o.Keys, err = cost.CreateFile(filepath.Join(o.Dir, "keystore.sanad"), []byte(passphrase), rand.Reader)
	o.must(err)
	if with.Location == "" {
		with.Location = filepath.Join(o.Dir, "issuer.db")
	}
	if with.Create == nil {
		with.Create = store.Create
	}
	s := store.Options{Instance: o.Instance(), Now: o.Clock.Now}
	if with.Journal {
		o.Folder = filepath.Join(o.Dir, "journal")
		o.must(audit.CreateJournal(o.Folder))
		o.journal, err = audit.OpenJournal(o.Folder)
		o.must(err)
		s.Journal = o.journal
	}
	o.DB, err = with.Create(context.Background(), with.Location, s)
	o.must(err)
	o.serve()
	t.Cleanup(func() { o.Close() })
	ctx := context.Background()
	for _, p := range []keys.Purpose{keys.Audit, keys.StatusList, keys.TrustBundle, keys.Backup, keys.Credential} {
		_, err := o.Service.FirstKey(ctx, keys.Spec{Purpose: p}, "tester")
		o.must(err)
	}
	for _, text := range []string{Card, Receipt} {
		_, err := o.Service.AddProgramme(ctx, []byte(text), "tester")
		o.must(err)
	}
	return o
}

// must fails the test on an error.
func (o *Office) must(err error) {
	o.Helper()
	if err != nil {
		o.Fatal(err)
	}
}

// Copy is a copy of this office, journal included, on a copy of its database: location is
// where that is, the copy of its file in the new directory if empty. The office must be
// closed.
func (o *Office) Copy(t testing.TB, location string) *Office {
	t.Helper()
	c := &Office{TB: t, Dir: t.TempDir(), Clock: &Clock{t: o.Clock.Now()}, listSize: o.listSize, roots: o.roots}
	c.must(copyFolder(o.Dir, c.Dir))
	var err error
	c.Keys, err = keys.OpenFile(filepath.Join(c.Dir, "keystore.sanad"), []byte(passphrase))
	c.must(err)
	if location == "" {
		location = filepath.Join(c.Dir, "issuer.db")
	}
	s := store.Options{Instance: c.Instance(), Now: c.Clock.Now}
	if o.Folder != "" {
		c.Folder = filepath.Join(c.Dir, "journal")
		c.journal, err = audit.OpenJournal(c.Folder)
		c.must(err)
		s.Journal = c.journal
	}
	c.DB, err = store.Open(context.Background(), location, s)
	c.must(err)
	c.serve()
	t.Cleanup(func() { c.Close() })
	return c
}

// copyFolder copies files with their modes into a folder that is there.
func copyFolder(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == from {
			return err
		}
		there := filepath.Join(to, strings.TrimPrefix(path, from))
		info, err := d.Info()
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.Mkdir(there, info.Mode().Perm())
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(there, b, info.Mode().Perm())
	})
}

func (o *Office) serve() {
	var err error
	o.Service, err = issuance.New(issuance.Config{
		Issuer: "xa-office", URL: "https://example.org", StatusBase: "https://example.org/status/", Store: o.DB, Queue: o.DB, Keys: o.Keys, Secret: o.Keys.Secret, Now: o.Clock.Now,
		ListSize: o.listSize,
	})
	o.must(err)
}

// Close closes database and journal. The test goes on.
func (o *Office) Close() {
	if o.DB != nil {
		o.must(o.DB.Close())
		o.DB = nil
	}
	if o.journal != nil {
		o.must(o.journal.Close())
		o.journal = nil
	}
}

// At is the same issuer on another database, which it takes over, with a copy of the
// keystore as it is now, and without a journal.
func (o *Office) At(t testing.TB, db *store.DB) *Office {
	t.Helper()
	other := &Office{TB: t, Dir: t.TempDir(), Clock: &Clock{t: o.Clock.Now()}, DB: db, listSize: o.listSize, roots: o.roots}
	raw, err := os.ReadFile(o.Keys.Path())
	o.must(err)
	other.must(os.WriteFile(filepath.Join(other.Dir, "keystore.sanad"), raw, 0o600))
	other.Keys, err = keys.OpenFile(filepath.Join(other.Dir, "keystore.sanad"), []byte(passphrase))
	other.must(err)
	other.serve()
	t.Cleanup(func() { other.Close() })
	return other
}

var columns = func() *registry.Columns {
	c, err := registry.NewColumns([]string{"id", "name", "village"})
	if err != nil {
		panic(err)
	}
	return c
}()

// Person is record number n of the register.
func Person(n int) registry.Record {
	id := fmt.Sprintf("F%07d", n)
	return registry.NewRecord(id, n+1, columns, []string{id, "Nurjahan " + strconv.Itoa(n), "Jessore Sadar"})
}

// Issue issues for a record.
func (o *Office) Issue(programme string, n int) issuance.Credential {
	o.Helper()
	return o.IssueForms(programme, n).Credential
}

// IssueForms is Issue with what was signed.
func (o *Office) IssueForms(programme string, n int) issuance.Issued {
	o.Helper()
	i, err := o.Service.Issue(context.Background(), issuance.Request{
		Programme: programme, Record: Person(n), Actor: "tester", Supersede: programme == "farmer-card", Idempotency: programme + strconv.Itoa(n) + rand.Text(),
	})
	o.must(err)
	return i
}

// Deliver delivers so many copies of the farmer card's wallet form for a record, to
// keys that nobody else has. What stands in the way is an error.
func (o *Office) Deliver(n, copies int) (*issuance.Issued, error) {
	o.Helper()
	holders := make([]keys.PublicKey, copies)
	for i := range holders {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		o.must(err)
		holders[i], err = keys.NewPublicKey(keys.ES256, private.Public())
		o.must(err)
	}
	return o.Service.Deliver(context.Background(), issuance.Delivery{
		Programme: "farmer-card", Record: Person(n), Holders: holders, Idempotency: "wallet" + strconv.Itoa(n) + rand.Text(), Actor: "wallets",
	})
}

// Revoke revokes a credential.
func (o *Office) Revoke(id string) {
	o.Helper()
	_, err := o.Service.Revoke(context.Background(), id, issuance.Lost, "tester")
	o.must(err)
}

// Publish publishes the next trust bundle and the next token of every list.
func (o *Office) Publish() *trust.Bundle {
	o.Helper()
	b, err := trust.Open(o.PublishFile())
	o.must(err)
	return b
}

// PublishFile is Publish with the bundle as the file that it is.
func (o *Office) PublishFile() []byte {
	o.Helper()
	ctx := context.Background()
	r := issuance.TrustRequest{
		Names: map[string]string{"en": "Office"}, Jurisdiction: "XA", RefreshAfter: 24 * time.Hour, OldAfter: 48 * time.Hour, Actor: "tester",
	}
	if o.roots == nil {
		o.root(&r)
	}
	p, err := o.Service.PublishTrust(ctx, r)
	o.must(err)
	_, err = o.Service.PublishStatus(ctx, issuance.StatusRequest{Lifetime: time.Hour, TTL: time.Minute, Actor: "tester"})
	o.must(err)
	return p.Content
}

// Lists publishes the next token of every list and returns the lists by their URI.
func (o *Office) Lists() map[string]*status.List {
	o.Helper()
	ctx := context.Background()
	published, err := o.Service.PublishStatus(ctx, issuance.StatusRequest{Lifetime: time.Hour, TTL: time.Minute, Actor: "tester"})
	o.must(err)
	lists := map[string]*status.List{}
	for _, p := range published {
		if _, isJWT := issuance.IsJWT(p.Name); isJWT {
			continue // of the same slots
		}
		info, err := issuance.OpenList(p.Name, p.Content, []keys.PublicKey{o.Signer(keys.StatusList).Key().Public})
		o.must(err)
		lists[p.Name] = info.List
	}
	return lists
}

// root makes the root of the office's bundles.
func (o *Office) root(r *issuance.TrustRequest) {
	o.Helper()
	ctx, now := context.Background(), o.Clock.Now()
	cost := keys.Cost{Time: 1, Memory: 8, Threads: 1}
	ks, err := cost.CreateFile(filepath.Join(o.Dir, "root.sanad"), []byte(passphrase), rand.Reader)
	o.must(err)
	k, err := keys.Bootstrap(ctx, ks, keys.Spec{Purpose: keys.TrustRoot, Created: now})
	o.must(err)
	s, err := ks.Signer(ctx, k.ID())
	o.must(err)
	all, err := o.Keys.Keys(ctx)
	o.must(err)
	own, err := keys.SigningKey(all, keys.TrustBundle, now)
	o.must(err)
	root := trust.Root{
		Version: 1, Issued: now, Expires: now.AddDate(10, 0, 0), Keys: []keys.PublicKey{k.Public}, Threshold: 1,
		BundleKeys: []keys.PublicKey{own.Public}, BundleThreshold: 1,
	}
	o.roots, err = trust.SignRoot(rand.Reader, nil, root, []keys.Signer{s}, now)
	o.must(err)
	r.Roots, r.BundleKeys = o.roots, root.BundleKeys
}

// Origin is the name of the office's audit log.
func (o *Office) origin() string {
	name := "example.org/audit/xa-office"
	if n := o.DB.LogNo(); n > 1 {
		name += "/" + strconv.FormatInt(n, 10)
	}
	return name
}

// Signer is the key of a purpose.
func (o *Office) Signer(p keys.Purpose) keys.Signer {
	o.Helper()
	ctx := context.Background()
	all, err := o.Keys.Keys(ctx)
	o.must(err)
	k, err := keys.SigningKey(all, p, o.Clock.Now())
	o.must(err)
	s, err := o.Keys.Signer(ctx, k.ID())
	o.must(err)
	return s
}

// Checkpoint signs a checkpoint and returns it.
func (o *Office) Checkpoint() store.Checkpoint {
	o.Helper()
	now, s := o.Clock.Now(), o.Signer(keys.Audit)
	c, err := o.DB.Checkpoint(context.Background(), now, func(h audit.Head) ([]byte, error) { return audit.SignCheckpoint(o.origin(), h, now, s) })
	o.must(err)
	return c
}

// Fsck checks the office, with its journal if it has one.
func (o *Office) Fsck() (r fsck.Report) {
	o.Helper()
	ctx := context.Background()
	snap, err := o.DB.Snapshot(ctx)
	o.must(err)
	r, err = fsck.Check(ctx, o.FsckConfig(snap))
	o.must(errors.Join(err, snap.Close()))
	return r
}

// FsckConfig is how the office is checked.
func (o *Office) FsckConfig(snap *store.Snapshot) fsck.Config {
	o.Helper()
	all, err := o.Keys.Keys(context.Background())
	o.must(err)
	vkeys := ""
	for n := int64(1); n <= o.DB.LogNo(); n++ {
		origin := "example.org/audit/xa-office"
		if n > 1 {
			origin += "/" + strconv.FormatInt(n, 10)
		}
		v, err := audit.VerifierKey(origin, o.Signer(keys.Audit).Key().Public)
		o.must(err)
		vkeys += v + "\n"
	}
	c := fsck.Config{Source: snap, Keys: all, Secret: o.Keys.Secret, LogKeys: vkeys, Pages: snap.CheckPages, Indexes: snap.CheckIndexes, Derived: snap.CheckDerived}
	if o.journal != nil {
		c.Journal = o.journal
	}
	return c
}

// Clean fails the test unless fsck finds nothing.
func (o *Office) Clean() {
	o.Helper()
	if r := o.Fsck(); !r.Clean() {
		for _, f := range r.Findings {
			o.Errorf("fsck: %s: %s: %s", f.Code, f.Subject, f.Detail)
		}
	}
}
