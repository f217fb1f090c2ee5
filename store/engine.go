package store

import (
	"context"
	"database/sql/driver"

	"github.com/sanad-id/sanad/issuance"
)

// A scan reads the columns of a row.
type scan = func(dest ...any) error

// An engine is one of the two databases under a [DB]. Statements have parameters
// $1, $2, ... and mean the same to both, but for those of a [dialect].
type engine interface {
	dialect() *dialect

	// begin starts a write transaction; one goroutine at a time does.
	begin(ctx context.Context) (session, head, error)

	// read runs a statement that only reads, beside the writer, and calls f for
	// each row. Statements of which there are many are better not kept prepared.
	read(ctx context.Context, query string, keep bool, args []any, f func(scan) error) error

	// moment opens a connection that sees the database as it stands now.
	moment(ctx context.Context) (moment, error)

	// meaning is the error that callers know for one of the engine's, or nil.
	meaning(err error) error

	// close closes it. Orderly says that nothing went wrong before.
	close(orderly bool) error
}

// A session is a write transaction of an engine. Its statements are not broken
// off by the end of a context: callers look between them.
type session interface {
	run(query string, args ...any) error
	// row runs a statement that returns at most one row, and reports whether it
	// did.
	row(query string, args []any, dest ...any) (bool, error)
	rows(query string, args []any, f func(scan) error) error
	// insert adds n rows to a table, whose values bind sets. If that fails row may
	// tell which of them it was.
	insert(into insertion, n int, bind func(i int, v values)) (row int, err error)
	// intend adds the rows of credentials that are like one another. It has done nothing
	// if the engine knows no better way than insert.
	intend(like alike) (done bool, err error)
	// complete stores what was signed of these credentials and makes them active.
	complete(numbers []int64, marks []issuance.Mark, at int64) error
	// completeRun is complete of credentials with numbers that follow one another, from
	// first, and equally many forms.
	completeRun(first int64, marks []issuance.Mark, at int64) error
	// hold shows others, from now on, that this writer is alive.
	hold(writer int64) error

	// savepoint marks where undo takes it back to, and release makes what was done
	// since part of the whole. There is one at a time.
	savepoint() error
	undo() error
	release() error

	// commit ends it. An error means that nothing is stored, unless it is
	// ErrOutcomeUnknown.
	commit() error
	rollback() error
}

// A head is what the first statement of every write transaction reads.
type head struct {
	epoch int64
	fence string
}

// A stopError says that the database must not be written to any more.
type stopError struct{ err error }

func (e *stopError) Error() string { return e.err.Error() }
func (e *stopError) Unwrap() error { return e.err }

// A dialect is what the engines say differently.
type dialect struct {
	// Credentials by an array of ids, and who holds an array of records.
	selectMarked, selectHeld string
	// The hashes of the audit log at an array of places.
	selectHashes string
	strings      func([]string) any
	numbers      func([]int64) any
	records      func([]issuance.Pseudonym) any
	// aside keeps the database from choosing the index of a column.
	aside func(column string) string
	// inState is the source of the credentials in a state other than active, behind an
	// id, and their order, that of ids; param and after are the parameters with both.
	inState func(state issuance.State, param, after string) (source, order string)
	// abandoned is the condition that the writer of a credential is gone; param is
	// the parameter with our own number.
	abandoned func(param string) string
	// bulkFirst says that what is done behind a savepoint costs memory.
	bulkFirst bool
	// confirmTimeline writes down that the present timeline is the right one, if
	// there are such.
	confirmTimeline string
	// selectFence is the epoch and why the database is closed for work, as one who only
	// looks can tell.
	selectFence string
}

// alike are new credentials that differ in id, record, row and what stands in their
// forms only, as those of a batch do. The last index of a slice is that of a credential.
type alike struct {
	first            int64 // the number of the first
	programme, batch int64
	version          int
	issued, changed  int64
	expires          any // NULL if never
	writer           int64
	ids, records     []byte // one behind the other
	rows             []int64
	forms            []alikeForms
}

// alikeForms are the forms with one number of credentials that are alike.
type alikeForms struct {
	form       string
	list       int64
	key        []byte
	slots      []int64
	toBeSigned []byte // one behind the other
}

// An insertion says into which columns of which table rows go. The other columns
// get what every new row has.
type insertion struct {
	table   string
	columns []string
	// statement does it for one row, on SQLite.
	statement string
}

// values are the parameters of one row.
type values []driver.NamedValue

func (v values) set(args ...driver.Value) {
	for i, a := range args {
		v[i].Value = a
	}
}

// The rows of a chunk of credentials.
var (
	intoCredential = insertion{"credential", []string{
		"credential_no", "credential_id", "programme_no", "version", "record_ref", "issued_at", "expires_at", "changed_at",
		"batch_no", "batch_row", "supersedes", "idempotency_key", "many", "vacated", "writer_no", "part_of",
	}, insertCredential}
	intoForm = insertion{"credential_form", []string{
		"credential_no", "form_no", "form", "list_no", "slot_index", "key_id", "to_be_signed",
	}, insertForm}
	intoChunk = insertion{"batch_chunk", []string{"batch_no", "chunk_no", "first_row", "rows", "start", "last"}, insertChunk}
)
