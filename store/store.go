package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sanad-id/sanad/issuance"
)

var _ issuance.Store = (*DB)(nil)

// Options say which database is expected. Fields without "optional" must be set.
type Options struct {
	// Instance names the issuer that the database belongs to, at most 512 bytes.
	// [Create] writes it down, [Open] refuses the database of another one, so that
	// settings, keys and database of two issuers cannot be mixed up.
	Instance string

	// ReadOnly opens beside another process that writes: nothing is locked, and
	// Write returns an error. Optional.
	ReadOnly bool

	// CheckPages reads all pages through at start even if the file is just as
	// this program left it less than a day ago. Optional. After anything else (a
	// crash, a restore, a copy) they are read in any case.
	CheckPages bool

	// Journal is a second copy of the audit log, outside of the database.
	// Optional. Open refuses a database that lacks what the journal holds
	// ([ErrBehindJournal]).
	Journal Journal

	// WhileFenced lets Write work on a fenced database. Optional; only for what
	// brings a restored database up to date before [DB.Confirm].
	WhileFenced bool

	// Password is that of the role in a PostgreSQL URL which has none. Optional; a
	// server may also know the role by the account (peer) or a certificate, and
	// PGPASSFILE is respected.
	Password string

	// ServiceRole is the PostgreSQL role that gets what a service needs from Create
	// and Migrate: to read, to insert, and to change the few columns that change. It
	// owns nothing. Optional; without it nobody but the owner gets anything.
	ServiceRole string

	// SynchronousStandby says that on PostgreSQL no commit is reported before a
	// standby has it. Then a standby that takes over is gone on with, if it has what
	// this process saw stored. Otherwise, and for whoever confirms it, a database is
	// fenced that changed its timeline. Optional; do not set it unless synchronous_standby_names is.
	SynchronousStandby bool

	// ClockLead is how far an entry of the audit log may lie ahead of the one before;
	// Write returns [issuance.ErrClockAhead] otherwise. Optional; no limit if zero, with
	// WhileFenced, and in a context of [AnyClock].
	ClockLead time.Duration

	// Now is the clock. Optional; time.Now if nil.
	Now func() time.Time
}

func (o *Options) check() error {
	switch {
	case o.Instance == "":
		return errors.New("store: Options.Instance is not set")
	case len(o.Instance) > 512:
		return errors.New("store: Options.Instance is longer than 512 bytes")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return nil
}

// A DB is an open database. Its methods may be called at once from several
// goroutines; writers take turns, and readers do not wait for them.
type DB struct {
	engine   engine
	location string
	instance string
	readOnly bool
	epoch    atomic.Int64
	logNo    int64
	fence    string // as of Open
	writer   int64  // who we are among the writers; as of the newest if readOnly
	created  time.Time
	now      func() time.Time
	journal  Journal
	confirms bool          // Options.WhileFenced
	lead     time.Duration // Options.ClockLead; 0 is no limit

	// turns give the right to write and to use what follows.
	turns  turns
	broken error
	names  names

	inHand inHand

	close sync.Once
}

func newDB(e engine, location string, o Options) *DB {
	db := &DB{engine: e, location: location, readOnly: o.ReadOnly, now: o.Now, journal: o.Journal, confirms: o.WhileFenced, lead: o.ClockLead}
	if o.WhileFenced {
		db.lead = 0 // the entries of a journal lie as far apart as they do
	}
	return db
}

// start opens an engine and makes a DB of it.
func start(ctx context.Context, e engine, location string, o Options, open func() error, translate func(error) error) (*DB, error) {
	db := newDB(e, location, o)
	err := open()
	if err == nil {
		err = translate(db.readMeta(ctx, o))
	}
	if err == nil && !o.ReadOnly {
		err = translate(db.enlist(ctx))
	}
	if err != nil {
		db.broken = err
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Open opens the database of the issuer o.Instance at a location: the path of an
// SQLite file, or the postgres:// URL of a PostgreSQL database. It opens what
// [Create] made and this version knows, and refuses everything else with a
// [StateError]; it never makes or repairs a database.
func Open(ctx context.Context, location string, o Options) (*DB, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if IsPostgres(location) {
		return openPostgres(ctx, location, o)
	}
	return openSQLite(ctx, location, o)
}

// Create makes a database at a location for the issuer o.Instance and opens it. It
// returns [ErrExists] rather than overwrite anything.
//
// The folder of an SQLite file must exist; a Create that breaks off leaves nothing
// there. A PostgreSQL database must exist, and the URL be that of a role which may
// create a schema in it; that role owns what is made. What a Create that broke off
// left of it is removed by the next one.
func Create(ctx context.Context, location string, o Options) (*DB, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.ReadOnly {
		return nil, errors.New("store: a new database cannot be read-only")
	}
	if IsPostgres(location) {
		return createPostgres(ctx, location, o)
	}
	return createSQLite(ctx, location, o)
}

// Migrate brings a database that an older version made up to date. It refuses
// whatever [Open] refuses but an older schema; of an up to date one it changes
// nothing. Each step is done or not done, so it can be called again after a crash.
// On PostgreSQL the URL must be that of the owner of the schema.
func Migrate(ctx context.Context, location string, o Options) error {
	if err := o.check(); err != nil {
		return err
	}
	if IsPostgres(location) {
		return migratePostgres(ctx, location, o)
	}
	db, err := openSQLite(ctx, location, o)
	if err == nil {
		return db.Close()
	}
	if !errors.Is(err, ErrOlder) || o.ReadOnly {
		return err
	}
	return migrateSQLite(ctx, location, o)
}

// IsPostgres reports whether a location is the URL of a PostgreSQL database.
func IsPostgres(location string) bool {
	return strings.HasPrefix(location, "postgres://") || strings.HasPrefix(location, "postgresql://")
}

// readMeta compares the database with what was expected.
func (db *DB) readMeta(ctx context.Context, o Options) error {
	found := false
	err := db.read(ctx, selectMeta, nil, func(scan scan) error {
		found = true
		var created, epoch int64
		if err := scan(&db.instance, &epoch, &created, &db.fence, &db.logNo); err != nil {
			return storeError(err)
		}
		db.epoch.Store(epoch)
		db.created = toTime(created)
		return nil
	})
	if err != nil {
		return err
	}
	if !found {
		return refuse(ErrAltered, db.location, "it does not say whose it is")
	}
	if _, db.fence, err = db.lookAtFence(ctx); err != nil {
		return err
	}
	// Whoever only reads takes the newest writer for alive.
	if err := db.read(ctx, selectLastWriter, nil, func(scan scan) error { return scan(&db.writer) }); err != nil {
		return err
	}
	return checkInstance(db.location, db.instance, o)
}

func checkInstance(location, instance string, o Options) error {
	if instance != o.Instance {
		return refuse(ErrOtherInstance, location, "it belongs to %.40q, not to %.40q", instance, o.Instance)
	}
	return nil
}

// enlist makes this process one of the writers, after a look at the journal. It
// changes nothing that a restore might contradict, so that a fence is no obstacle.
func (db *DB) enlist(ctx context.Context) error {
	confirms := db.confirms
	db.confirms = true
	defer func() { db.confirms = confirms }()
	return db.Write(ctx, func(w issuance.Tx) error {
		t, ok := w.(*tx)
		if !ok {
			return errors.New("store: internal error: a transaction of another kind")
		}
		if err := t.checkJournal(); err != nil {
			return err
		}
		if _, err := t.row(insertWriter, []any{fromTime(db.now())}, &db.writer); err != nil {
			return err
		}
		db.fence = t.head.fence
		return t.s.hold(db.writer)
	})
}

// Epoch returns the epoch of the database, which a restore raises.
func (db *DB) Epoch() int64 { return db.epoch.Load() }

// LogNo says which audit log of its issuer this is, from 1. One that had to begin
// anew has a higher number and another origin.
func (db *DB) LogNo() int64 { return db.logNo }

// Fenced returns why the database was closed for work when it was opened, or "".
// Of a standby that took over and is said to be synchronous (see
// [Options.SynchronousStandby]) only one who may write knows.
func (db *DB) Fenced() string { return db.fence }

// Path returns where the database is: the path of the file, or the URL without
// its password.
func (db *DB) Path() string { return db.location }

// Close waits for a write that is going on and closes the database. Sequences
// that were not ended report an error afterwards.
func (db *DB) Close() error {
	var err error
	db.close.Do(func() { err = db.shut() })
	return err
}

func (db *DB) shut() error {
	db.turns.close()
	return db.engine.close(db.broken == nil)
}

// do is a transaction up to where it could be stored.
func (t *tx) do(f func(issuance.Tx) error) error {
	if err := t.checkFence(t.head); err != nil {
		return err
	}
	if err := f(t); err != nil {
		return err
	}
	if t.lost != nil { // f went on although something had failed
		return t.lost
	}
	return t.outer.Err()
}

// stop notes that the database must not be written to any more, if err says so.
func (db *DB) stop(err error) {
	if e, ok := errors.AsType[*stopError](err); ok && db.broken == nil {
		db.broken = e.err
	}
}

// names remembers the numbers of programmes, batches and lists, which never
// change once they are stored.
type names struct {
	programmes map[string]int64
	versions   map[[2]int64]bool
	batches    map[string]int64
	lists      map[string]listNumber
	runs       []run
}

// A run is what one transaction of this process has intended: credentials with
// numbers that follow one another and equally many forms.
type run struct {
	first int64
	ids   []string
	forms int
}

// maxRuns is how many runs are remembered: a batch marks a chunk soon after it was
// intended.
const maxRuns = 16

// intended remembers a run.
func (n *names) intended(first int64, creds []issuance.Credential) {
	r := run{first: first, ids: make([]string, len(creds)), forms: len(creds[0].Forms)}
	for i := range creds {
		if len(creds[i].Forms) != r.forms {
			return
		}
		r.ids[i] = creds[i].ID
	}
	if len(n.runs) == maxRuns {
		n.runs = slices.Delete(n.runs, 0, 1)
	}
	n.runs = append(n.runs, r)
}

// run returns the number of the first of these marks and how many forms each has, if
// all of them follow one another in one run.
func (n *names) run(marks []issuance.Mark) (first int64, forms int, ok bool) {
	for _, r := range n.runs {
		at := slices.Index(r.ids, marks[0].ID)
		if at < 0 || len(r.ids)-at < len(marks) {
			continue
		}
		for i := range marks {
			if r.ids[at+i] != marks[i].ID {
				return 0, 0, false
			}
		}
		return r.first + int64(at), r.forms, true
	}
	return 0, 0, false
}

type listNumber struct {
	no   int64
	size uint64
}
