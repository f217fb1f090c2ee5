package once

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sanad-id/sanad/internal/sqldb"
)

const (
	// schemaName is the schema of everything that is ours.
	schemaName = "sanad_once"
	// lockClass is the first key of the advisory lock of who makes the schema ("SANO").
	lockClass = applicationID
)

const postgresSchema = `
CREATE SCHEMA sanad_once;
CREATE TABLE meta (
	one     smallint NOT NULL PRIMARY KEY CHECK (one = 1),
	version bigint NOT NULL,
	secret  bytea NOT NULL CHECK (length(secret) = 32)
);
CREATE TABLE value (
	kind    text COLLATE "C" NOT NULL,
	digest  bytea NOT NULL CHECK (length(digest) = 32),
	expires bigint NOT NULL,
	data    bytea NOT NULL,
	state   smallint NOT NULL CHECK (state BETWEEN 0 AND 2),
	guesses integer NOT NULL,
	PRIMARY KEY (kind, digest)
) WITH (fillfactor = 70);
CREATE INDEX value_expires ON value (expires);
CREATE FUNCTION value_final() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		IF OLD.state <> 0 OR NEW.guesses < OLD.guesses THEN
			RAISE EXCEPTION 'sanad: a value that is used up stays so';
		END IF;
		RETURN NEW;
	END $$;
CREATE TRIGGER value_final BEFORE UPDATE ON value FOR EACH ROW EXECUTE FUNCTION value_final();
`

// rights are what a service needs. It deletes what has expired.
var rights = []string{
	"USAGE ON SCHEMA " + schemaName,
	"SELECT ON meta, value",
	"INSERT, DELETE ON value",
	"UPDATE (expires, data, state, guesses) ON value",
}

// parameters are the settings that every connection needs; see package store. No
// transaction may keep others waiting for long.
var parameters = map[string]string{
	"application_name": "sanad-once", "search_path": schemaName + ", pg_temp", "client_encoding": "UTF8", "timezone": "UTC",
	"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off", "jit": "off", "max_parallel_workers_per_gather": "0",
	"default_transaction_isolation": "read committed", "idle_in_transaction_session_timeout": "15000", "statement_timeout": "15000",
}

// postgresEngine is the engine of a PostgreSQL database.
type postgresEngine struct{ pool *pgxpool.Pool }

// parse reads a URL and refuses one that would send what nobody else should see
// through a network in plain text.
func parse(location string, o Options) (*pgxpool.Config, error) {
	c, err := pgxpool.ParseConfig(location)
	if err != nil {
		return nil, fmt.Errorf("the URL of the database: %v", err) // pgx leaves the password out
	}
	if c.ConnConfig.Password == "" {
		c.ConnConfig.Password = o.Password
	}
	if c.ConnConfig.ConnectTimeout == 0 {
		c.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	dialer := &net.Dialer{
		Timeout:         5 * time.Second,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 4},
	}
	c.ConnConfig.DialFunc = dialer.DialContext
	for name, value := range parameters {
		c.ConnConfig.RuntimeParams[name] = value
	}
	if !sqldb.Protected(&c.ConnConfig.Config) {
		return nil, sqldb.ErrInsecure
	}
	// Whatever the server's default is: what is reported as stored is stored.
	c.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `SELECT CASE WHEN current_setting('synchronous_commit') IN ('off', 'local')
			THEN set_config('synchronous_commit', 'on', false) END`)
		return err
	}
	return c, nil
}

func openPostgres(ctx context.Context, location string, o Options) (engine, []byte, error) {
	c, err := parse(location, o)
	if err != nil {
		return nil, nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, nil, postgresError(err)
	}
	secret, err := ready(ctx, pool, o)
	if err != nil {
		pool.Close()
		return nil, nil, err
	}
	return &postgresEngine{pool}, secret, nil
}

// ready makes the schema if there is none and we may, and returns the secret.
func ready(ctx context.Context, pool *pgxpool.Pool, o Options) ([]byte, error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, postgresError(err)
	}
	defer conn.Release()
	var there, allowed bool
	err = conn.QueryRow(ctx, `SELECT to_regnamespace($1) IS NOT NULL, has_database_privilege(current_database(), 'CREATE')`, schemaName).Scan(&there, &allowed)
	switch {
	case err != nil:
		return nil, postgresError(err)
	case !there && !allowed:
		return nil, fmt.Errorf("the database has no schema %s, and this role may not make it; issuer migrate does, with store_owner in the settings", schemaName)
	case !there:
		if err := build(ctx, conn.Conn(), o); err != nil {
			return nil, err
		}
	}
	var version int64
	var secret []byte
	if err := conn.QueryRow(ctx, selectMeta).Scan(&version, &secret); err != nil {
		return nil, postgresError(err)
	}
	if version != schemaVersion {
		return nil, fmt.Errorf("the schema %s has version %d, this program knows %d", schemaName, version, schemaVersion)
	}
	return secret, nil
}

func preparePostgres(ctx context.Context, location string, o Options) error {
	c, err := parse(location, o)
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, c.ConnConfig)
	if err != nil {
		return postgresError(err)
	}
	defer hangUp(conn)
	return build(ctx, conn, o)
}

// hangUp closes a connection without waiting for the server for long.
func hangUp(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // it is of no use any more
}

// build makes the schema unless it is there, and grants rights on it.
func build(ctx context.Context, conn *pgx.Conn, o Options) error {
	return postgresError(pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1::int, 0)`, lockClass); err != nil {
			return err
		}
		var there bool
		if err := tx.QueryRow(ctx, `SELECT to_regnamespace($1) IS NOT NULL`, schemaName).Scan(&there); err != nil {
			return err
		}
		if !there {
			secret := make([]byte, secretSize)
			rand.Read(secret)
			if _, err := tx.Exec(ctx, postgresSchema); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, insertMeta, schemaVersion, secret); err != nil {
				return err
			}
		}
		if o.ServiceRole == "" {
			return nil
		}
		for _, right := range rights {
			if _, err := tx.Exec(ctx, "GRANT "+right+" TO "+pgx.Identifier{o.ServiceRole}.Sanitize()); err != nil {
				return err
			}
		}
		return nil
	}))
}

func (e *postgresEngine) get(ctx context.Context, k Key) (*row, error) {
	r, err := e.getOnce(ctx, k)
	if sqldb.Lost(err) && ctx.Err() == nil { // a connection of the pool that had broken meanwhile
		r, err = e.getOnce(ctx, k)
	}
	return r, postgresError(err)
}

func (e *postgresEngine) getOnce(ctx context.Context, k Key) (*row, error) {
	r := &row{}
	err := e.pool.QueryRow(ctx, selectValue, string(k.Kind), k.Digest[:]).Scan(&r.expires, &r.data, &r.state, &r.guesses)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

const (
	// The rows are locked in one order by all processes, so that none waits for
	// another in a circle. New rows follow, in one order, too.
	lockValues = `SELECT v.kind, v.digest, v.expires, v.data, v.state, v.guesses
		FROM unnest($1::text[], $2::bytea[]) AS k (kind, digest)
		JOIN value v ON v.kind = k.kind COLLATE "C" AND v.digest = k.digest ORDER BY v.kind, v.digest FOR UPDATE OF v`
	insertValues = `INSERT INTO value (kind, digest, expires, data, state, guesses)
		SELECT * FROM unnest($1::text[], $2::bytea[], $3::bigint[], $4::bytea[], $5::smallint[], $6::integer[]) ON CONFLICT DO NOTHING`
	updateValues = `UPDATE value v SET expires = u.expires, data = u.data, state = u.state, guesses = u.guesses
		FROM unnest($1::text[], $2::bytea[], $3::bigint[], $4::bytea[], $5::smallint[], $6::integer[]) AS u (kind, digest, expires, data, state, guesses)
		WHERE v.kind = u.kind COLLATE "C" AND v.digest = u.digest`
)

// errAgain: another process stored a value meanwhile that this one wanted to.
var errAgain = errors.New("another process was faster")

func (e *postgresEngine) change(ctx context.Context, _ int64, keys []Key, decide func(state)) error {
	for again := 0; ; again++ {
		err := e.changeOnce(ctx, keys, decide)
		if err == nil {
			return nil
		}
		// In none of these has anything been stored.
		fault, ok := errors.AsType[*notStored](err)
		if !ok || again == 50 || !fault.again() || ctx.Err() != nil {
			return postgresError(err)
		}
		if sqldb.Lost(err) {
			select {
			case <-time.After(time.Duration(again) * 10 * time.Millisecond):
			case <-ctx.Done():
				return postgresError(err)
			}
		}
	}
}

// A notStored is an error before the commit.
type notStored struct{ err error }

func (e *notStored) Error() string { return e.err.Error() }
func (e *notStored) Unwrap() error { return e.err }

// again reports whether the same may succeed now.
func (e *notStored) again() bool {
	if sqldb.Collided(e.err) {
		return true
	}
	return errors.Is(e.err, errAgain) || sqldb.Lost(e.err)
}

func (e *postgresEngine) changeOnce(ctx context.Context, keys []Key, decide func(state)) error {
	conn, err := e.pool.Acquire(ctx)
	if err != nil {
		return &notStored{err}
	}
	defer conn.Release()
	s, err := lock(ctx, conn.Conn(), keys)
	if err == nil {
		decide(s)
		err = write(ctx, conn.Conn(), s)
	}
	if err != nil {
		back, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if _, e := conn.Exec(back, "ROLLBACK"); e != nil {
			hangUp(conn.Conn()) // and with it the transaction
		}
		return &notStored{err}
	}
	tag, err := conn.Exec(ctx, "COMMIT")
	switch fault, ok := errors.AsType[*pgconn.PgError](err); {
	case err == nil && tag.String() == "COMMIT":
		return nil
	case err == nil:
		return &notStored{errors.New("the transaction had failed")}
	case ok && fault.Severity == "ERROR":
		return &notStored{err}
	}
	hangUp(conn.Conn())
	return err
}

// lock begins a transaction and locks what is there.
func lock(ctx context.Context, conn *pgx.Conn, keys []Key) (state, error) {
	s := state{}
	kinds, digests := make([]string, len(keys)), make([][]byte, len(keys))
	for i, k := range keys {
		s[k] = nil
		kinds[i], digests[i] = string(k.Kind), k.Digest[:]
	}
	var b pgx.Batch
	b.Queue("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
	b.Queue(lockValues, kinds, digests).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var k Key
			var digest []byte
			r := &row{}
			if err := rows.Scan(&k.Kind, &digest, &r.expires, &r.data, &r.state, &r.guesses); err != nil {
				return err
			}
			copy(k.Digest[:], digest)
			s[k] = r
		}
		return rows.Err()
	})
	return s, conn.SendBatch(ctx, &b).Close()
}

// write stores what was decided.
func write(ctx context.Context, conn *pgx.Conn, s state) error {
	inserts, updates := s.writes()
	var b pgx.Batch
	for _, w := range []struct {
		query string
		keys  []Key
	}{{updateValues, updates}, {insertValues, inserts}} {
		if len(w.keys) == 0 {
			continue
		}
		kinds, digests, data := make([]string, len(w.keys)), make([][]byte, len(w.keys)), make([][]byte, len(w.keys))
		expires, states, guesses := make([]int64, len(w.keys)), make([]int16, len(w.keys)), make([]int32, len(w.keys))
		for i, k := range w.keys {
			r := s[k]
			kinds[i], digests[i], data[i] = string(k.Kind), k.Digest[:], bytesOf(r.data)
			expires[i], states[i], guesses[i] = r.expires, int16(r.state), int32(r.guesses)
		}
		b.Queue(w.query, kinds, digests, expires, data, states, guesses).Exec(func(tag pgconn.CommandTag) error {
			if tag.RowsAffected() != int64(len(w.keys)) {
				return errAgain
			}
			return nil
		})
	}
	if b.Len() == 0 {
		return nil
	}
	return conn.SendBatch(ctx, &b).Close()
}

func (e *postgresEngine) sweep(ctx context.Context, before int64) (int, error) {
	total := 0
	for {
		// What another process is sweeping is left to it.
		tag, err := e.pool.Exec(ctx, `DELETE FROM value v USING (SELECT kind, digest FROM value WHERE expires < $1 LIMIT 1000 FOR UPDATE SKIP LOCKED) AS old
			WHERE v.kind = old.kind AND v.digest = old.digest`, before)
		if err != nil {
			return total, postgresError(err)
		}
		total += int(tag.RowsAffected())
		if tag.RowsAffected() < sweepRows {
			return total, nil
		}
	}
}

func (e *postgresEngine) durable() bool { return true }

func (e *postgresEngine) close() error {
	e.pool.Close()
	return nil
}

// postgresError keeps what can be told of an error: what the server says about it
// may hold values of a row.
func postgresError(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if sqldb.Lost(err) {
		return fmt.Errorf("%w: %v", ErrUnreachable, err)
	}
	if f, ok := errors.AsType[*pgconn.PgError](err); ok {
		return fmt.Errorf("the database server reports %s", f.Code)
	}
	return fmt.Errorf("%v", err)
}
