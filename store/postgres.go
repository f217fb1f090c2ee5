package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sanad-id/sanad/internal/sqldb"
	"github.com/sanad-id/sanad/issuance"
)

const (
	// schemaName is the schema of everything that is ours.
	schemaName = "sanad"

	// lockClass is the first key of our advisory locks ("SAND"); the second is the
	// number of a writer, or 0 for who makes or migrates the schema.
	lockClass = applicationID

	// oldestServer is the oldest version of PostgreSQL that will do.
	oldestServer = 130000
)

// How long things may take; variables for tests.
var (
	// connectPatience is for one attempt to connect.
	connectPatience = 5 * time.Second
	// retryFor is how long the beginning of a transaction, which has no effect yet,
	// and the question how one ended are tried again.
	retryFor = 10 * time.Second
	// commitPatience is for the answer to a commit.
	commitPatience = 60 * time.Second
	// txPatience is for the statements of a transaction together.
	txPatience = 5 * time.Minute
)

// parameters are the settings that every connection needs. The planner is kept to
// the indexes, and pages are said to be cheap, since a plan that was made for a
// small table is used on when the table has grown.
var parameters = map[string]string{
	"application_name": "sanad", "search_path": schemaName + ", pg_temp", "client_encoding": "UTF8", "timezone": "UTC",
	"random_page_cost": "0.05", "seq_page_cost": "0.05",
	"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off", "jit": "off", "max_parallel_workers_per_gather": "0",
	"default_transaction_isolation": "read committed", "idle_in_transaction_session_timeout": "300000",
}

// postgresEngine is the engine of a PostgreSQL database.
type postgresEngine struct {
	config      *pgx.ConnConfig
	pools       *pgxpool.Config
	location    string // without a password
	now         func() time.Time
	synchronous bool
	version     int64 // of the schema that this program needs

	pool   *pgxpool.Pool // reads
	closed atomic.Bool

	// What follows belongs to the one who writes.
	conn   *pgx.Conn // nil until it is needed
	system string    // identifies the server's cluster; empty until connected
	pid    int32     // of the server's process for the last connection, 0 if there was none
	since  string    // when that process started
	writer int64     // our number, 0 until we have one
	last   block     // what we know to be stored of the audit log
}

// A block is the place and the hash of a row of audit_hashes.
type block struct {
	first int64
	hash  [32]byte
	known bool
}

var _ engine = (*postgresEngine)(nil)

func (e *postgresEngine) dialect() *dialect {
	if e.synchronous {
		return &synchronousDialect
	}
	return &postgresDialect
}

// livingWriters are the numbers of writers that are alive: they hold their lock.
const livingWriters = `SELECT objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND classid = 1396788804 AND objsubid = 2 AND granted
	AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`

// currentTimeline is the timeline that the server writes on.
const currentTimeline = `('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint`

var postgresDialect = dialect{
	// LATERAL with OFFSET keeps the planner from turning the join around.
	selectMarked: `SELECT u.place - 1, c.credential_no, c.state,
		(SELECT count(*) FROM credential_form f WHERE f.credential_no = c.credential_no)
		FROM unnest($1::text[]) WITH ORDINALITY AS u (id, place)
		CROSS JOIN LATERAL (SELECT credential_no, state FROM credential WHERE credential_id = u.id OFFSET 0) c`,
	selectHeld: `SELECT c.record_ref, c.credential_id, c.state, b.batch_id, c.batch_row, c.expires_at
		FROM unnest($2::bytea[]) AS u (record)
		CROSS JOIN LATERAL (SELECT * FROM credential WHERE programme_no = $1 AND record_ref = u.record AND vacated = 0 OFFSET 0) c
		LEFT JOIN batch b ON b.batch_no = c.batch_no`,
	selectHashes: `SELECT ` + hashAt("u.place") + ` FROM unnest($1::bigint[]) WITH ORDINALITY AS u (place, n) ORDER BY u.n`,
	strings:      func(all []string) any { return all },
	numbers:      func(all []int64) any { return all },
	records: func(all []issuance.Pseudonym) any {
		b := make([][]byte, len(all))
		for i := range all {
			b[i] = all[i][:]
		}
		return b
	},
	aside: func(column string) string { return column },
	// As above: the small tables come first, however large the other one is.
	inState: func(state issuance.State, param, after string) (source, order string) {
		if state == issuance.Intended {
			return `credential_intended i CROSS JOIN LATERAL (SELECT * FROM credential
				WHERE credential_no BETWEEN i.first_no AND i.last_no AND state = ` + param + ` OFFSET 0) c`, "credential_id"
		}
		return `(SELECT credential_id AS id FROM credential_not_valid WHERE state = ` + param + ` AND credential_id > ` + after + ` ORDER BY credential_id OFFSET 0) n
			CROSS JOIN LATERAL (SELECT * FROM credential WHERE credential_id = n.id AND state = ` + param + ` OFFSET 0) c`, "n.id"
	},
	abandoned: func(param string) string {
		return "(writer_no IS NULL OR writer_no <> " + param + " AND writer_no NOT IN (" + livingWriters + "))"
	},
	confirmTimeline: `UPDATE meta SET timeline = ` + currentTimeline,
	// A standby that only reads has no timeline to write on.
	selectFence: `SELECT epoch, CASE WHEN fence = '' AND timeline <> 0 AND NOT pg_is_in_recovery() AND timeline <> ` + currentTimeline +
		` THEN '` + FenceFailedOver + `' ELSE fence END FROM meta`,
}

// synchronousDialect is postgresDialect where a standby that took over is fenced only if it
// lacks something, which the first transaction finds out.
var synchronousDialect = func() dialect {
	d := postgresDialect
	d.selectFence = selectFence
	return d
}()

// parsePostgres reads a URL and refuses one that would send what nobody else
// should see through a network in plain text.
func parsePostgres(location string, o Options) (*postgresEngine, error) {
	shown := withoutPassword(location)
	pools, err := pgxpool.ParseConfig(location)
	if err != nil {
		return nil, refuse(ErrBadURL, shown, "%v", err) // pgx leaves the password out
	}
	config := pools.ConnConfig
	if config.Password == "" {
		config.Password = o.Password
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectPatience
	}
	dialer := &net.Dialer{
		Timeout:         connectPatience,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 4},
	}
	config.DialFunc = dialer.DialContext
	for name, value := range parameters {
		config.RuntimeParams[name] = value
	}
	if !sqldb.Protected(&config.Config) {
		return nil, refuse(ErrInsecure, shown, "")
	}
	return &postgresEngine{config: config, pools: pools, location: shown, now: o.Now, synchronous: o.SynchronousStandby && !o.WhileFenced}, nil
}

// PostgresRole returns the role that a URL names, or the one that a connection
// would have.
func PostgresRole(location string) (string, error) {
	c, err := pgx.ParseConfig(location)
	if err != nil {
		return "", refuse(ErrBadURL, withoutPassword(location), "%v", err)
	}
	return c.User, nil
}

// withoutPassword is a URL that can be shown.
func withoutPassword(location string) string {
	u, err := url.Parse(location)
	if err != nil {
		return "postgres://..."
	}
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	q := u.Query()
	for _, secret := range []string{"password", "sslpassword"} {
		if q.Has(secret) {
			q.Del(secret)
			u.RawQuery = q.Encode()
		}
	}
	return u.String()
}

// connect opens the connection that writes.
func (e *postgresEngine) connect(ctx context.Context) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, e.config)
	if err != nil {
		return nil, err
	}
	var system, since string
	// Whatever the server's default is: what is reported as stored is stored.
	err = conn.QueryRow(ctx, `SELECT (SELECT system_identifier::text FROM pg_control_system()),
		(SELECT backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()),
		CASE WHEN current_setting('synchronous_commit') IN ('off', 'local') THEN set_config('synchronous_commit', 'on', false) END`).
		Scan(&system, &since, new(*string))
	if err == nil && e.pid != 0 {
		// The server may not know that the last one broke, and keep its transaction and
		// with it everybody's turn.
		_, err = conn.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start::text = $2`, e.pid, e.since)
	}
	if err == nil && e.writer != 0 {
		_, err = conn.Exec(ctx, `SELECT pg_advisory_lock_shared($1::int, $2::int)`, lockClass, e.writer)
	}
	if err == nil && e.system != "" && system != e.system {
		err = &stopError{fmt.Errorf("%w: another server than before answers at %s; start the program again", ErrFenced, e.location)}
	}
	if err != nil {
		return nil, errors.Join(err, hangUp(conn))
	}
	e.system, e.pid, e.since = system, int32(conn.PgConn().PID()), since
	return conn, nil
}

// hangUp closes a connection without waiting for the server.
func hangUp(conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // it is of no use any more
	return nil
}

// read implements engine. What a connection that had broken meanwhile did not even
// begin is asked once more.
func (e *postgresEngine) read(ctx context.Context, query string, _ bool, args []any, f func(scan) error) error {
	begun := false
	once := func() error {
		rows, err := e.pool.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close() // its error is that of rows.Err
		for rows.Next() {
			begun = true
			if err := f(rows.Scan); err != nil {
				return err
			}
		}
		return rows.Err()
	}
	err := once()
	if err != nil && !begun && lostConnection(err) && ctx.Err() == nil {
		err = once()
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case e.closed.Load():
		return ErrClosed
	}
	return postgresError(err)
}

func (e *postgresEngine) close(bool) error {
	e.closed.Store(true)
	if e.pool != nil {
		e.pool.Close()
	}
	if e.conn != nil {
		return hangUp(e.conn)
	}
	return nil
}

// constraints say what it means when one is broken.
var constraints = map[string]error{
	"credential_holder": issuance.ErrActiveExists, "credential_idempotency": issuance.ErrIdempotencyUsed,
	"credential_form_slot": issuance.ErrSlotTaken, "status_list_open": issuance.ErrListOpen, "status_list_uri_key": issuance.ErrListOpen,
}

func (e *postgresEngine) meaning(err error) error {
	if f, ok := errors.AsType[*postgresFault](err); ok {
		if known := constraints[f.constraint]; known != nil {
			return known
		}
		return saying(f.text)
	}
	return nil
}

// A postgresFault is an error that the server reported. What it says about it may
// hold values of the row, so that only the code and names of ours are kept.
type postgresFault struct {
	code, constraint, text string
}

// Error names the code, and the constraint or what a trigger of ours says.
func (e *postgresFault) Error() string { return "store: " + e.short() }

// short is Error without the name of the package.
func (e *postgresFault) short() string {
	s := "the database server reports " + e.code
	if e.constraint != "" {
		s += " (" + e.constraint + ")"
	}
	if e.text != "" {
		s += ": " + e.text
	}
	return s
}

// postgresError keeps what can be told of an error.
func postgresError(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	for _, ours := range []func(error) bool{is[*StateError], is[*stopError], is[*postgresFault], is[*connectionError]} {
		if ours(err) {
			return err
		}
	}
	if f, ok := errors.AsType[*pgconn.PgError](err); ok {
		fault := &postgresFault{code: f.Code, constraint: f.ConstraintName, text: aboutBlocks(f)}
		if strings.HasPrefix(f.Message, "sanad: ") {
			fault.text = f.Message
		}
		if f.Code == "53100" {
			return fmt.Errorf("%w: %w", ErrNoSpace, fault)
		}
		if f.Code == "42501" {
			return fmt.Errorf("%w: %w", ErrDenied, fault)
		}
		if damaged(fault) {
			return fmt.Errorf("%w: %w", ErrCorrupt, fault)
		}
		return fault
	}
	if broken(err) {
		return &connectionError{err.Error()}
	}
	return fmt.Errorf("store: %v", err)
}

// A connectionError is about the way to the server.
type connectionError struct{ text string }

// Error is what the driver says, which holds no values.
func (e *connectionError) Error() string { return "store: " + e.text }

// broken reports whether an error of the driver is about the connection.
func broken(err error) bool {
	// The error of a file is a net.Error, too, by its methods.
	f, ok := errors.AsType[net.Error](err)
	_, file := f.(syscall.Errno)
	return ok && !file || is[*pgconn.ConnectError](err) || is[*connectionError](err) || pgconn.SafeToRetry(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// codeOf is the code of an error of the server, or empty.
func codeOf(err error) string {
	if f, ok := errors.AsType[*pgconn.PgError](err); ok {
		return f.Code
	}
	if f, ok := errors.AsType[*postgresFault](err); ok {
		return f.code
	}
	return ""
}

// lostConnection reports whether an error is about the connection and not about
// the statement.
func lostConnection(err error) bool {
	switch code := codeOf(err); code {
	case "":
		return broken(err)
	case "57P01", "57P02", "57P03", "57P05", "53300", // it is shut down, starting up, or full
		"25006", "25P03": // it only reads: another one may be the primary by now; it was idle for too long
		return true
	default:
		return strings.HasPrefix(code, "08")
	}
}

// LostConnection reports whether an error of a database is about the way to its server, or
// about a server that is shut down or starting up: later the same may succeed.
func LostConnection(err error) bool { return err != nil && lostConnection(err) }

// busy reports whether the same again may succeed.
func busy(err error) bool {
	switch codeOf(err) {
	case "40001", "40P01", "55P03":
		return true
	}
	return lostConnection(err)
}

// quote makes a name of the settings part of a statement.
func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
