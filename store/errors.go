package store

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/sanad-id/sanad/internal/sqldb"
)

// States of a database that [Open] refuses. Each comes in a [StateError].
var (
	// ErrMissing: there is nothing at the path.
	ErrMissing = errors.New("store: there is no database")
	// ErrNotAFile: the path is a directory, a device or the like.
	ErrNotAFile = errors.New("store: not a file")
	// ErrUnreadable: the file cannot be opened for reading and writing.
	ErrUnreadable = errors.New("store: cannot open the database")
	// ErrEmpty: the file has no content, or the PostgreSQL database no tables.
	ErrEmpty = errors.New("store: the database is empty")
	// ErrNotADatabase: the file is not an SQLite database.
	ErrNotADatabase = errors.New("store: not an SQLite database")
	// ErrForeign: an SQLite database of another program.
	ErrForeign = errors.New("store: a database of another program")
	// ErrTruncated: the file is shorter than it says.
	ErrTruncated = errors.New("store: the database file is cut off")
	// ErrCorrupt: pages of the file are damaged, or the PostgreSQL server cannot read
	// them. It is the error of reading and writing, too, where damage is met in the middle
	// of work.
	ErrCorrupt = errors.New("store: the database is damaged")
	// ErrOlder: made by an older version; [Migrate] brings it up to date.
	ErrOlder = errors.New("store: the database has an older schema")
	// ErrNewer: made or migrated by a newer version.
	ErrNewer = errors.New("store: the database has a newer schema")
	// ErrAltered: the schema is not one that Sanad makes: a migration that broke
	// off, or tables or triggers changed by hand.
	ErrAltered = errors.New("store: the database schema is incomplete or was altered")
	// ErrOtherInstance: the database of another issuer.
	ErrOtherInstance = errors.New("store: the database belongs to another issuer")
	// ErrInUse: another process has the database open.
	ErrInUse = errors.New("store: the database is in use")
	// ErrBehindJournal: the database lacks audit entries that it had confirmed to
	// the journal: it is an older copy, or the journal is that of another database.
	ErrBehindJournal = errors.New("store: the database is behind its journal")
	// ErrBadURL: the URL of a PostgreSQL database is not one.
	ErrBadURL = errors.New("store: not the URL of a database")
	// ErrInsecure: the way to the database server is open to others.
	ErrInsecure = errors.New("store: the connection to the database would not be protected")
	// ErrUnreachable: the database server does not answer.
	ErrUnreachable = errors.New("store: the database server cannot be reached")
	// ErrDenied: the database server does not let us in, or not do what we need.
	ErrDenied = errors.New("store: the database server denies it")
	// ErrStandby: the server only reads, as a standby does.
	ErrStandby = errors.New("store: the database server only reads")
	// ErrEncoding: the PostgreSQL database keeps text in another encoding than UTF-8.
	ErrEncoding = errors.New("store: the database does not keep text in UTF-8")
	// ErrExists: [Create] found something at the path.
	ErrExists = errors.New("store: there is something already")
)

// Errors of an open [DB] beside those of package issuance.
var (
	// ErrClosed: the DB was closed.
	ErrClosed = errors.New("store: closed")
	// ErrFileChanged: the database file was removed, replaced, cut off or made
	// read-only while it was open. Nothing more is written.
	ErrFileChanged = errors.New("store: the database file was changed from outside")
	// ErrFenced: the database is closed for work until somebody confirms it, or is
	// in a later epoch than when it was opened. Nothing is written.
	ErrFenced = errors.New("store: the database is fenced")
	// ErrJournal: the journal did not take the audit entries of a transaction, so
	// nothing of it is stored.
	ErrJournal = errors.New("store: the journal does not take entries")
	// ErrOutcomeUnknown: the commit failed, so the transaction may or may not
	// be stored. Who needs to know asks by id or idempotency key.
	ErrOutcomeUnknown = errors.New("store: outcome unknown")
	// ErrNoSpace: the disk is full. Writing goes on when there is space again.
	ErrNoSpace = errors.New("store: no space left")
	// ErrBroken: the disk reported an error before. Nothing more is written
	// until the program is started again and the database checked.
	ErrBroken = errors.New("store: stopped after a disk error")
	// ErrForked: the stored hashes of the audit log contradict a checkpoint that
	// was signed before.
	ErrForked = errors.New("store: the audit log contradicts its last checkpoint")
)

// A StateError says that a database is in no state to work with. It wraps one of
// the errors above.
type StateError struct {
	Err  error
	Path string
	// Detail is empty if Err says it all.
	Detail string
	// Hint says what a person can do.
	Hint string
}

// Error names the file and what is wrong with it.
func (e *StateError) Error() string {
	if e.Detail == "" {
		return fmt.Sprintf("%v: %s", e.Err, e.Path)
	}
	return fmt.Sprintf("%v: %s: %s", e.Err, e.Path, e.Detail)
}

// Unwrap returns what is wrong.
func (e *StateError) Unwrap() error { return e.Err }

// hints say what to do about a state.
var hints = map[error]string{
	ErrMissing:       "check the path in the settings; a new issuer is made by issuer init, an old one comes back from a backup",
	ErrNotAFile:      "name the database file in the settings",
	ErrUnreadable:    "run the program as the user who owns the file and its folder, on a disk that can be written to",
	ErrEmpty:         "the content is lost; restore a backup",
	ErrNotADatabase:  "check the path in the settings, or restore a backup",
	ErrForeign:       "check the path in the settings",
	ErrTruncated:     "copy the file away for examination and restore a backup",
	ErrCorrupt:       "copy the file away for examination, check the disk and restore a backup",
	ErrOlder:         "make a backup, then run issuer migrate",
	ErrNewer:         "run the newer version of the program that it was made with",
	ErrAltered:       "restore a backup from before the change or the interrupted migration",
	ErrOtherInstance: "settings and database do not belong together; check both paths",
	ErrInUse:         "stop the other process, or let it finish",
	ErrBehindJournal: "if a backup was restored or a standby took over, run issuer fsck, then issuer restore confirm with the journal; otherwise check journal and store in the settings",
	ErrBadURL:        "postgres://ROLE@HOST/DATABASE?sslmode=verify-full; for a socket postgres://ROLE@/DATABASE?host=/run/postgresql",
	ErrInsecure:      "add sslmode=verify-full (and sslrootcert=FILE) to the URL, or use a Unix socket",
	ErrUnreachable:   "see whether the server runs and whether host and port in the URL are right",
	ErrDenied:        "check the role in the URL and its password file; rights come from issuer migrate, run with store_owner in the settings",
	ErrStandby:       "name the primary in the URL, or all servers with target_session_attrs=read-write; if it is the primary, see default_transaction_read_only there",
	ErrEncoding:      sqldb.EncodingHint,
	ErrNoSpace:       "make room on the disk, then give the same command again; SQLite needs some to read, too",
	ErrExists:        "choose another path; nothing is ever overwritten",
}

// certificateHint is what to do when the database server answers and does not prove its name.
const certificateHint = "the server's certificate is not believed: sslrootcert=FILE in the URL names the authority that made it, in PEM, and the host in the URL must be one of the certificate's names"

// serverHints are those of hints that another thing is to be done about on PostgreSQL.
var serverHints = map[error]string{
	ErrMissing: "check the name of the database in the settings; in a new one an issuer is made by issuer init, and an old one comes back by issuer restore",
	ErrEmpty:   "check the name of the database in the settings; if it is the right one its content is lost: issuer restore of the newest backup",
	ErrForeign: "check the name of the database in the settings",
	ErrCorrupt: "stop the server, copy its data directory away for examination, check the disk and restore a backup on another one; issuer fsck says what else is damaged, if it can start",
	ErrExists:  "choose another database; nothing is ever overwritten",
}

// refuse returns a StateError with the hint for err.
func refuse(err error, path, format string, args ...any) error {
	hint := hints[err]
	if IsPostgres(path) {
		hint = cmp.Or(serverHints[err], hint)
	}
	return &StateError{Err: err, Path: path, Detail: fmt.Sprintf(format, args...), Hint: hint}
}
