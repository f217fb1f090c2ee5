package store

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/sanad-id/sanad/internal/sqldb"
)

// postgresSteps are the migrations of PostgreSQL in their order, with the schema
// that each leads to; a variable for tests.
var postgresSteps = embedded("migrations/postgres")

func openPostgres(ctx context.Context, location string, o Options) (*DB, error) {
	e, err := parsePostgres(location, o)
	if err != nil {
		return nil, err
	}
	return start(ctx, e, e.location, o, func() error { return e.open(ctx, o) }, e.translate)
}

func (e *postgresEngine) open(ctx context.Context, o Options) (err error) {
	if e.pool, err = pgxpool.NewWithConfig(ctx, e.pools); err != nil {
		return postgresError(err)
	}
	conn, err := e.pool.Acquire(ctx)
	if err != nil {
		return e.translate(err)
	}
	defer conn.Release()
	return e.check(ctx, conn.Conn(), o.ReadOnly)
}

// translate turns the server's complaints about us into ours about it.
func (e *postgresEngine) translate(err error) error {
	if err == nil || is[*StateError](err) || is[*stopError](err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	told := postgresError(err)
	switch code := codeOf(err); code {
	case "3D000":
		return refuse(ErrMissing, e.location, "")
	case "28P01", "28000", "42501", "53300":
		if fault, ok := errors.AsType[*postgresFault](told); ok {
			told = fault // without what refuse says
		}
		return refuse(ErrDenied, e.location, "%v", told)
	case "25006":
		return refuse(ErrStandby, e.location, "")
	default:
		if damaged(err) {
			return refuseDamaged(e.location, err)
		}
		if is[*tls.CertificateVerificationError](err) {
			return &StateError{Err: ErrUnreachable, Path: e.location, Detail: told.Error(), Hint: certificateHint}
		}
		if lostConnection(err) {
			return refuse(ErrUnreachable, e.location, "%v", told)
		}
	}
	return told
}

// check refuses a server or a schema that is not as it should be.
func (e *postgresEngine) check(ctx context.Context, conn *pgx.Conn, readOnly bool) error {
	var version int
	var standby, reads, there, allowed bool
	var others int
	var encoding string
	err := conn.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), pg_is_in_recovery(), current_setting('transaction_read_only') = 'on',
		to_regnamespace($1) IS NOT NULL, coalesce(has_schema_privilege(to_regnamespace($1)::oid, 'USAGE'), FALSE),
		(SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
		 AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_%')`, schemaName).
		Scan(&version, &encoding, &standby, &reads, &there, &allowed, &others)
	switch {
	case err != nil:
		return e.translate(err)
	case version < oldestServer:
		return refuse(ErrOlder, e.location, "the server has version %d, this program needs %d or newer", version/10000, oldestServer/10000)
	case encoding != sqldb.Encoding:
		return refuse(ErrEncoding, e.location, "but in %s", encoding)
	case (standby || reads) && !readOnly:
		return refuse(ErrStandby, e.location, "")
	case !there && others == 0:
		return refuse(ErrEmpty, e.location, "it has no tables")
	case !there:
		return refuse(ErrForeign, e.location, "it has tables, and none of an issuer")
	case !allowed:
		return refuse(ErrDenied, e.location, "the role may not use the schema %s", schemaName)
	}
	return e.checkSchema(ctx, conn)
}

// checkSchema tells an older, a newer and an incomplete schema from ours.
func (e *postgresEngine) checkSchema(ctx context.Context, conn *pgx.Conn) error {
	var versioned bool
	if err := conn.QueryRow(ctx, `SELECT to_regclass('sanad.goose_db_version') IS NOT NULL`).Scan(&versioned); err != nil {
		return e.translate(err)
	}
	if !versioned {
		return refuse(ErrAltered, e.location, "it does not say its version")
	}
	var version, count int64
	if err := conn.QueryRow(ctx, selectVersion).Scan(&version, &count); err != nil {
		return e.translate(err)
	}
	ours, err := newest(postgresSteps)
	if err != nil {
		return err
	}
	e.version = ours
	if err := e.checkApplied(version, count); err != nil && !errors.Is(err, ErrOlder) {
		return err
	}
	found, err := readPostgresSchema(ctx, conn)
	if err != nil {
		return e.translate(err)
	}
	want, err := postgresSchemaOf(version)
	if err != nil {
		return err
	}
	return judgeSchema(e.location, version, ours, want, found)
}

// checkApplied refuses a version that is not the one of this program, of which count
// migrations were applied. Every write asks, since the program may still be open when
// somebody migrates.
func (e *postgresEngine) checkApplied(version, count int64) error {
	if count != version {
		return refuse(ErrAltered, e.location, "%d of %d migrations were applied", count, version)
	}
	if err := checkVersion(e.location, version, e.version); err != nil {
		return err
	}
	if version < e.version {
		return refuse(ErrOlder, e.location, "version %d, this program needs %d", version, e.version)
	}
	return nil
}

// schemaBreak stands between the objects in a file with a schema.
const schemaBreak = "\n----\n"

// postgresSchemaOf returns the schema of a version.
func postgresSchemaOf(version int64) ([]string, error) {
	b, err := fs.ReadFile(postgresSteps, fmt.Sprintf("schema_%d.txt", version))
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), schemaBreak), nil
}

// readPostgresSchema returns the schema from the server's catalogs, an object
// each: tables with their columns, constraints, indexes, triggers (also those that
// are switched off), functions and rules.
func readPostgresSchema(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	rows, err := conn.Query(ctx, selectPostgresSchema)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

const selectPostgresSchema = `
WITH tables AS (
	SELECT c.oid, c.relname, c.relkind, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity, c.reloptions
	FROM pg_class c WHERE c.relnamespace = to_regnamespace('sanad') AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname <> 'goose_db_version'
)
SELECT o FROM (
	SELECT 'table ' || t.relname || E'\n' || t.relkind::text || ' ' || t.relpersistence::text
		|| CASE WHEN t.relrowsecurity OR t.relforcerowsecurity THEN ' row security' ELSE '' END
		|| coalesce(' ' || array_to_string(t.reloptions, ','), '')
		|| coalesce(E'\n' || string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
			|| CASE WHEN l.collname IS NULL OR l.collname = 'default' THEN '' ELSE ' ' || l.collname END
			|| CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
			|| a.attidentity::text || a.attgenerated::text
			|| coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), ''), E'\n' ORDER BY a.attnum), '') AS o
	FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
		LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
		LEFT JOIN pg_collation l ON l.oid = a.attcollation
	GROUP BY t.oid, t.relname, t.relkind, t.relpersistence, t.relrowsecurity, t.relforcerowsecurity, t.reloptions
	UNION ALL
	SELECT 'constraint ' || t.relname || ' ' || k.conname || E'\n' || pg_get_constraintdef(k.oid) || CASE WHEN k.convalidated THEN '' ELSE ' not valid' END
	FROM tables t JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype IN ('c', 'f', 'p', 'u', 'x')
	UNION ALL
	SELECT 'index ' || c.relname || E'\n' || pg_get_indexdef(i.indexrelid) || CASE WHEN i.indisvalid AND i.indisready THEN '' ELSE ' not valid' END
	FROM tables t JOIN pg_index i ON i.indrelid = t.oid JOIN pg_class c ON c.oid = i.indexrelid
	UNION ALL
	SELECT 'trigger ' || t.relname || ' ' || g.tgname || E'\n' || pg_get_triggerdef(g.oid) || CASE g.tgenabled WHEN 'O' THEN '' ELSE ' ' || g.tgenabled::text END
	FROM tables t JOIN pg_trigger g ON g.tgrelid = t.oid WHERE NOT g.tgisinternal
	UNION ALL
	SELECT 'trigger ' || t.relname || ' of a constraint' || E'\n' || g.tgenabled::text
	FROM tables t JOIN pg_trigger g ON g.tgrelid = t.oid WHERE g.tgisinternal AND g.tgenabled <> 'O'
	UNION ALL
	SELECT 'rule ' || t.relname || ' ' || r.rulename || E'\n' || pg_get_ruledef(r.oid)
	FROM tables t JOIN pg_rewrite r ON r.ev_class = t.oid
	UNION ALL
	SELECT 'function ' || p.proname || '(' || pg_get_function_arguments(p.oid) || E')\n' || coalesce(pg_get_function_result(p.oid), '') || ' ' || l.lanname
		|| CASE WHEN p.prosecdef THEN ' security definer' ELSE '' END || coalesce(' ' || array_to_string(p.proconfig, ','), '') || E'\n' || p.prosrc
	FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE p.pronamespace = to_regnamespace('sanad')
) all_objects ORDER BY o COLLATE "C"`

// What the comment on the schema says until Create has ended, and after.
const (
	schemaUnfinished = "Sanad, not complete"
	schemaFinished   = "Sanad, the memory of an issuer"
)

func createPostgres(ctx context.Context, location string, o Options) (*DB, error) {
	e, err := parsePostgres(location, o)
	if err != nil {
		return nil, err
	}
	err = e.asOwner(ctx, func(conn *pgx.Conn) error { return e.create(ctx, conn, o) })
	if err != nil {
		return nil, fmt.Errorf("create: %w", err)
	}
	return openPostgres(ctx, location, o)
}

// asOwner runs f while nobody else makes or migrates the schema.
func (e *postgresEngine) asOwner(ctx context.Context, f func(conn *pgx.Conn) error) error {
	conn, err := pgx.ConnectConfig(ctx, e.config)
	if err != nil {
		return e.translate(err)
	}
	defer hangUp(conn) //nolint:errcheck // it ends the lock in any case
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1::int, 0)`, lockClass); err != nil {
		return e.translate(err)
	}
	return e.translate(f(conn))
}

// empty makes the schema with nothing in it, in the place of one that broke off.
func (e *postgresEngine) empty(ctx context.Context, conn *pgx.Conn) error {
	switch err := e.check(ctx, conn, false); {
	case errors.Is(err, ErrEmpty), errors.Is(err, ErrForeign): // other tables are in nobody's way
	case err == nil, errors.Is(err, ErrOlder), errors.Is(err, ErrNewer), errors.Is(err, ErrAltered):
		// A Create may have broken off behind any of the migrations.
		var comment *string
		if err := conn.QueryRow(ctx, `SELECT obj_description(to_regnamespace($1)::oid, 'pg_namespace')`, schemaName).Scan(&comment); err != nil {
			return err
		}
		if comment == nil || *comment != schemaUnfinished {
			return refuse(ErrExists, e.location, "it has a schema %s", schemaName)
		}
		if _, err := conn.Exec(ctx, "DROP SCHEMA "+schemaName+" CASCADE"); err != nil { // of a Create that broke off
			return err
		}
	default:
		return err
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "CREATE SCHEMA "+schemaName); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "COMMENT ON SCHEMA "+schemaName+" IS '"+schemaUnfinished+"'")
		return err
	})
}

func (e *postgresEngine) create(ctx context.Context, conn *pgx.Conn, o Options) error {
	if err := e.empty(ctx, conn); err != nil {
		return err
	}
	if err := e.migrate(ctx, 0); err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, insertMeta, o.Instance, o.Now().UnixMilli()); err != nil {
			return err
		}
		if err := grant(ctx, tx, o.ServiceRole); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "COMMENT ON SCHEMA "+schemaName+" IS '"+schemaFinished+"'")
		return err
	})
}

// migrate brings the schema to a version, 0 for the newest. Its lock is held by
// the caller.
func (e *postgresEngine) migrate(ctx context.Context, version int64) error {
	db := stdlib.OpenDB(*e.config)
	defer db.Close() // nothing is left to be written then
	if err := migratePostgresTo(ctx, db, version); err != nil || version != 0 {
		return err
	}
	return e.migrateQueue(ctx)
}

func migratePostgresTo(ctx context.Context, db *sql.DB, version int64) error {
	p, err := goose.NewProvider(goose.DialectPostgres, db, postgresSteps,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("store: %v", err)
	}
	if version == 0 {
		if version, err = newest(postgresSteps); err != nil {
			return err
		}
	}
	if _, err := p.UpTo(ctx, version); err != nil {
		return fmt.Errorf("migrate: %w", postgresError(err))
	}
	return nil
}

func migratePostgres(ctx context.Context, location string, o Options) error {
	e, err := parsePostgres(location, o)
	if err != nil {
		return err
	}
	return e.asOwner(ctx, func(conn *pgx.Conn) error {
		if err := e.check(ctx, conn, false); err != nil && (!errors.Is(err, ErrOlder) || o.ReadOnly) {
			return err
		}
		var instance string
		err := conn.QueryRow(ctx, selectInstance).Scan(&instance)
		if errors.Is(err, pgx.ErrNoRows) {
			return refuse(ErrAltered, e.location, "it does not say whose it is")
		}
		if err != nil {
			return err
		}
		if err := checkInstance(e.location, instance, o); err != nil {
			return err
		}
		if err := e.migrate(ctx, 0); err != nil {
			return err
		}
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return grant(ctx, tx, o.ServiceRole) })
	})
}

// rights are what a service needs. It deletes nothing and changes only these
// columns; those of slots follow by a trigger.
var rights = []string{
	"USAGE ON SCHEMA " + schemaName,
	"SELECT ON ALL TABLES IN SCHEMA " + schemaName,
	"UPDATE (latest_tick, timeline) ON meta",
	"INSERT ON writer, programme, programme_version, batch, batch_chunk, status_list, credential, credential_form, publication, " +
		"audit_block, audit_hashes, audit_checkpoint, audit_cosignature",
	"UPDATE (state, changed_at, chunks, source_rows, issued, failed, skipped, manifest_bytes) ON batch",
	"UPDATE (claim, folder, manifest_bytes, issued, failed, skipped, done_at) ON batch_chunk",
	"UPDATE (next_counter, sealed_at) ON status_list",
	"UPDATE (state, reason, changed_at, vacated) ON credential",
	"UPDATE (signed) ON credential_form",
	"UPDATE (number, issued_at, digest, content) ON publication",
}

func grant(ctx context.Context, tx pgx.Tx, role string) error {
	if role == "" {
		return nil
	}
	for _, right := range slices.Concat(rights, queueRights) {
		if _, err := tx.Exec(ctx, "GRANT "+right+" TO "+quote(role)); err != nil {
			return fmt.Errorf("grant to %.40q: %w", role, err)
		}
	}
	return nil
}
