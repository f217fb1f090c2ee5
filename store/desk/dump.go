package desk

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/internal/copytext"
	"github.com/sanad-id/sanad/internal/sqldb"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/work"
)

// dumped are the tables of a backup in an order in which none refers to a later one,
// each with its key. What must not come back is not among them: sessions, links and
// what browsers were asked, leases, and prints; nor is the index of the search, which
// is built again.
var dumped = []struct{ name, key string }{
	{"office", "id"}, {"operator", "id"}, {"passkey", "id"}, {"restore_card", "id"}, {"proposal", "id"},
	{"batch_job", "id"}, {"tally", "day, office, programme, what"}, {"tally_position", "one"}, {"tally_open", "credential"},
	{"work_item", "id"}, {"work_event", "n"},
}

// A Table is a table of a dump, with its columns in this order.
type Table struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
}

// A Snapshot is the database at one moment, for a backup. Its methods are called from
// one goroutine at a time.
type Snapshot struct {
	// Schema is the version of the tables.
	Schema int
	Tables []Table

	conn *sql.Conn
}

// Snapshot takes a snapshot, which must be closed. It holds up no writer.
func (db *DB) Snapshot(ctx context.Context) (*Snapshot, error) {
	conn, err := db.readers.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("desk: snapshot: %w", sqldb.Plain(err))
	}
	begin := []string{"BEGIN DEFERRED"}
	if db.postgres {
		begin = []string{
			"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "SET LOCAL idle_in_transaction_session_timeout = 0", "SET LOCAL statement_timeout = 0",
		}
	}
	s := &Snapshot{conn: conn}
	for _, statement := range begin {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return nil, errors.Join(fmt.Errorf("desk: snapshot: %w", sqldb.Plain(err)), s.Close())
		}
	}
	t := tx{ctx: ctx, q: conn}
	_, err = t.one(`SELECT version FROM meta`, nil, &s.Schema) // from now on all is as it is now
	for _, table := range dumped {
		var names []string
		if err == nil {
			names, _, err = db.columns(t, table.name)
		}
		s.Tables = append(s.Tables, Table{table.name, names})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("desk: snapshot: %w", sqldb.Plain(err)), s.Close())
	}
	return s, nil
}

// Close ends the snapshot.
func (s *Snapshot) Close() error {
	_, _ = s.conn.ExecContext(context.Background(), "ROLLBACK") // nothing was written
	return s.conn.Close()
}

// Copy writes the rows of a table in the form of package copytext, and returns how many
// they are.
func (s *Snapshot) Copy(ctx context.Context, table string, to io.Writer) (rows int64, err error) {
	i := slices.IndexFunc(s.Tables, func(t Table) bool { return t.Name == table })
	if i < 0 {
		return 0, fmt.Errorf("desk: no table %.40q", table)
	}
	columns := s.Tables[i].Columns
	values, dest := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		dest[i] = &values[i]
	}
	w := copytext.NewWriter(to)
	err = tx{ctx: ctx, q: s.conn}.each("SELECT "+strings.Join(columns, ", ")+" FROM "+table+" ORDER BY "+dumped[i].key, nil, func(scan func(...any) error) error {
		if err := scan(dest...); err != nil {
			return err
		}
		rows++
		return w.Row(values)
	})
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return rows, fmt.Errorf("desk: dump %s: %w", table, sqldb.Plain(err))
	}
	return rows, nil
}

// columns are the columns of a table and their types.
func (db *DB) columns(t tx, table string) (names, kinds []string, err error) {
	query := `SELECT name, type FROM pragma_table_info($1) ORDER BY cid`
	if db.postgres {
		query = `SELECT column_name::text, data_type::text FROM information_schema.columns
			WHERE table_schema = 'sanad_desk' AND table_name = $1::text ORDER BY ordinal_position`
	}
	err = t.each(query, []any{table}, func(scan func(...any) error) error {
		var name, kind string
		err := scan(&name, &kind)
		names, kinds = append(names, name), append(kinds, strings.ToLower(kind))
		return err
	})
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("there is no table %s", table)
	}
	return names, kinds, err
}

// A Dump is what [Load] puts into a new database.
type Dump struct {
	Schema int
	// Next returns the tables one after the other, and io.EOF.
	Next func() (Table, io.Reader, error)
}

// Load fills a database that nobody works with from a dump, at location as in [Open].
// If there are people in it already it is left alone ([ErrExists]).
//
// What was open when the dump was made is ended, since nobody knows what became of it:
// proposals are closed; work that waited for a second person is to be checked again;
// work that was agreed to, or signed and not printed, becomes a problem for a person to
// look at; batches stop. There are no sessions, links or prints in a dump.
func Load(ctx context.Context, location string, o Options, d Dump, now time.Time) (err error) {
	var db *DB
	if isPostgres(location) {
		db, err = openPostgres(location, o)
	} else {
		db, err = openSQLite(ctx, location)
	}
	if err != nil {
		return fmt.Errorf("desk: load: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.load(ctx, o, d, now); err != nil {
		return fmt.Errorf("desk: load: %w", err)
	}
	return nil
}

func (db *DB) load(ctx context.Context, o Options, d Dump, now time.Time) error {
	steps, err := db.steps()
	if err != nil {
		return err
	}
	if d.Schema < 1 || d.Schema > len(steps) {
		return fmt.Errorf("%w: version %d, this program knows %d", ErrNewer, d.Schema, len(steps))
	}
	begun, err := db.writers.BeginTx(ctx, nil)
	if err != nil {
		return sqldb.Plain(err)
	}
	defer func() { _ = begun.Rollback() }() // nothing is left to be undone after Commit
	t := tx{ctx: ctx, q: begun}
	if db.postgres {
		if _, err := t.exec("SET LOCAL statement_timeout = 0"); err != nil {
			return sqldb.Plain(err)
		}
	}
	if err := db.begin(t, steps[:d.Schema]); err != nil {
		return sqldb.Plain(err)
	}
	for {
		table, rows, err := d.Next()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = db.fill(t, table, rows)
		}
		if err != nil {
			return err
		}
	}
	if err := db.afterLoad(t, steps[d.Schema:], o, now); err != nil {
		return sqldb.Plain(err)
	}
	return sqldb.Plain(begun.Commit())
}

// begin makes the tables of a dump in a database without people.
func (db *DB) begin(t tx, steps []string) error {
	version, may, err := db.version(t)
	if err != nil {
		return err
	}
	if version > 0 {
		people := int64(0)
		if _, err := t.one(`SELECT count(*) FROM operator`, nil, &people); err != nil {
			return err
		}
		if people > 0 {
			return fmt.Errorf("%w: there are people in this database", ErrExists)
		}
		if !db.postgres {
			return fmt.Errorf("%w: the file is there", ErrExists)
		}
	}
	if !may {
		return errors.New("only the owner of the database may load a dump")
	}
	if db.postgres { // tables that were prepared for nobody yet
		if _, err := t.exec("DROP SCHEMA IF EXISTS " + schemaName + " CASCADE"); err != nil {
			return err
		}
	}
	if err := db.first(t); err != nil {
		return err
	}
	for _, step := range steps {
		if _, err := t.exec(step); err != nil {
			return err
		}
	}
	return nil
}

// fill puts rows into a table.
func (db *DB) fill(t tx, table Table, rows io.Reader) error {
	if !slices.ContainsFunc(dumped, func(d struct{ name, key string }) bool { return d.name == table.Name }) {
		return fmt.Errorf("%w: a table %.40q", copytext.ErrMalformed, table.Name)
	}
	names, kinds, err := db.columns(t, table.Name)
	if err != nil {
		return sqldb.Plain(err)
	}
	if !slices.Equal(names, table.Columns) {
		return fmt.Errorf("%w: table %s has other columns", copytext.ErrMalformed, table.Name)
	}
	insert := "INSERT INTO " + table.Name + " (" + strings.Join(names, ", ") + ") "
	if db.postgres {
		insert += "OVERRIDING SYSTEM VALUE "
	}
	insert += "VALUES (" + marks(1, len(names)) + ")"
	in := copytext.NewReader(rows, len(names))
	for {
		row, err := in.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("table %s: %w", table.Name, err)
		}
		args := make([]any, len(row))
		for i, v := range row {
			switch {
			case v.Null:
			case kinds[i] == "integer" || kinds[i] == "bigint" || kinds[i] == "smallint":
				args[i], err = v.Int()
			case kinds[i] == "blob" || kinds[i] == "bytea":
				args[i], err = v.Bytes([]byte{})
			default:
				args[i] = string(v.Text)
			}
			if err != nil {
				return fmt.Errorf("table %s: %w", table.Name, err)
			}
		}
		if _, err := t.exec(insert, args...); err != nil {
			return fmt.Errorf("table %s: %w", table.Name, sqldb.Plain(err))
		}
	}
}

// afterLoad brings the tables up to date and ends what was open.
func (db *DB) afterLoad(t tx, steps []string, o Options, now time.Time) error {
	all, err := db.steps()
	if err != nil {
		return err
	}
	for _, step := range steps {
		if _, err := t.exec(step); err != nil {
			return err
		}
	}
	if _, err := t.exec(`UPDATE meta SET version = $1`, len(all)); err != nil {
		return err
	}
	if db.postgres { // numbers go on behind those that were loaded
		if _, err := t.exec(`SELECT setval(pg_get_serial_sequence('work_event', 'n'), greatest((SELECT max(n) FROM work_event), 1))`); err != nil {
			return err
		}
	}
	for _, statement := range []struct {
		text string
		args []any
	}{
		{`UPDATE operator SET epoch = epoch + 1`, nil},
		{`UPDATE proposal SET state = 'closed', decided = $1 WHERE state IN ('proposed', 'approved')`, []any{milli(now)}},
		{`UPDATE work_item SET state = 'checking', queue = $1, approver = '', worker = '', until = 0, due = 0, changed = $2, rev = rev + 1
			WHERE state = 'waiting' AND kind IN ('issue', 'replace')`, []any{string(work.ToCheck), milli(now)}},
		{`UPDATE work_item SET state = 'failed', queue = $1, problem = $2, worker = '', until = 0, due = 0, changed = $3, rev = rev + 1
			WHERE state IN ('waiting', 'agreed', 'signed')`, []any{string(work.Problems), work.ProblemRestored, milli(now)}},
	} {
		if _, err := t.exec(statement.text, statement.args...); err != nil {
			return err
		}
	}
	if err := stopJobs(t, now); err != nil {
		return err
	}
	if db.postgres && o.ServiceRole != "" {
		return grant(t, o.ServiceRole)
	}
	return nil
}

// stopJobs gives batches up that were not over: their files were on the machine that is
// gone. What they issued stays issued, and a new batch skips it.
func stopJobs(t tx, now time.Time) error {
	var jobs []batchwork.Job
	err := t.each(`SELECT document, revision FROM batch_job`, nil, func(scan func(...any) error) error {
		j, err := scanJob(scan)
		if err == nil && (!j.State.Over() || j.Print.Pending()) {
			jobs = append(jobs, j)
		}
		return err
	})
	for _, j := range jobs {
		if err != nil {
			break
		}
		if !j.State.Over() {
			j.State, j.Ended = batchwork.Cancelled, now
		}
		if j.Print.Pending() {
			j.Print.State, j.Print.Why = batchwork.PrintFails, batchwork.FilesGone
		}
		j.Changed, j.Revision = now, j.Revision+1
		var document []byte
		if document, err = json.Marshal(j); err == nil {
			_, err = t.exec(`UPDATE batch_job SET state = $2, revision = $3, document = $4, printing = 0 WHERE id = $1`, j.ID, string(j.State), j.Revision, string(document))
		}
	}
	return err
}

// SuspendAll suspends these people, or everybody who could sign in if all is set, and
// returns how many were. What a restored database says of them may be out of date.
func (db *DB) SuspendAll(ctx context.Context, people []string, all bool) (n int64, err error) {
	err = db.write(ctx, func(t tx) error {
		n = 0
		if all {
			var err error
			n, err = t.exec(`UPDATE operator SET standing = $1, epoch = epoch + 1 WHERE standing = 'active'`, string(staff.Suspended))
			if err != nil {
				return err
			}
			return t.dropCards()
		}
		for _, id := range people {
			done, err := t.exec(`UPDATE operator SET standing = $1, epoch = epoch + 1 WHERE id = $2 AND standing = 'active'`,
				string(staff.Suspended), id)
			if err != nil {
				return err
			}
			n += done
		}
		return t.dropCards()
	})
	return n, err
}

// Check returns what is wrong with the database itself, "" if nothing is; on PostgreSQL
// that is the server's own business.
func (db *DB) Check(ctx context.Context) (string, error) {
	if db.postgres {
		return "", nil
	}
	result := ""
	err := db.read(ctx, func(t tx) error {
		_, err := t.one("PRAGMA integrity_check(1)", nil, &result)
		return err
	})
	if result == "ok" {
		result = ""
	}
	return result, err
}

// Credentials calls f for the id of each credential that work names and says was made
// or is to be changed.
func (db *DB) Credentials(ctx context.Context, f func(item, credential string) error) error {
	return db.read(ctx, func(t tx) error {
		return t.each(`SELECT id, credential, made FROM work_item WHERE credential <> '' OR made <> '' ORDER BY id`, nil, func(scan func(...any) error) error {
			var item, credential, made string
			if err := scan(&item, &credential, &made); err != nil {
				return err
			}
			for _, id := range []string{credential, made} {
				if id != "" {
					if err := f(item, id); err != nil {
						return err
					}
				}
			}
			return nil
		})
	})
}
