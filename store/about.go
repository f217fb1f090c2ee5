package store

import (
	"context"
	"fmt"
)

// About says what a database stands on.
type About struct {
	// Engine is "SQLite", or "PostgreSQL" and the version of the server.
	Engine string
	// Warnings are what somebody should look after.
	Warnings []string
	// Blind are those of them that keep damaged pages from being found, or tell of some.
	Blind []string
}

// About returns what the database stands on.
func (db *DB) About(ctx context.Context) (About, error) {
	e, ok := db.engine.(*postgresEngine)
	if !ok {
		return About{Engine: "SQLite"}, nil
	}
	a, err := e.about(ctx)
	if err != nil {
		return a, fmt.Errorf("about the database: %w", err)
	}
	return a, nil
}

func (e *postgresEngine) about(ctx context.Context) (About, error) {
	var version, role, standbys string
	var fsync, fullPages, owns, super bool
	err := e.read(ctx, `SELECT current_setting('server_version'), current_user, current_setting('synchronous_standby_names'),
		current_setting('fsync') = 'on', current_setting('full_page_writes') = 'on',
		pg_has_role((SELECT relowner FROM pg_class WHERE oid = 'credential'::regclass), 'MEMBER'),
		(SELECT rolsuper FROM pg_roles WHERE rolname = current_user)`, true, nil,
		func(scan scan) error { return scan(&version, &role, &standbys, &fsync, &fullPages, &owns, &super) })
	if err != nil {
		return About{}, err
	}
	a := About{Engine: "PostgreSQL " + version}
	warn := func(so bool, format string, args ...any) {
		if so {
			a.Warnings = append(a.Warnings, fmt.Sprintf(format, args...))
		}
	}
	warn(!fsync || !fullPages, "the server does not survive a loss of power: fsync and full_page_writes must be on")
	warn(super, "the role %s is a superuser and could undo anything; let store name one that owns nothing", role)
	warn(owns && !super, "the role %s owns the tables and could undo a revocation; let store name one that owns nothing, and store_owner this one", role)
	if a.Blind, err = e.blind(ctx); err != nil {
		return a, err
	}
	a.Warnings = append(a.Warnings, a.Blind...)
	warn(e.synchronous && standbys == "", "store_standby is synchronous, and the server has no synchronous_standby_names: a fail-over would lose what was confirmed")
	return a, nil
}

// blind returns why damaged pages may not be found, and how many were.
func (e *postgresEngine) blind(ctx context.Context) ([]string, error) {
	var checksums, ignored, zeroed bool
	var failures int64
	var last string
	err := e.read(ctx, `SELECT current_setting('data_checksums') = 'on', current_setting('ignore_checksum_failure') = 'on', current_setting('zero_damaged_pages') = 'on',
		coalesce(checksum_failures, 0), coalesce(to_char(checksum_last_failure AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), '')
		FROM pg_stat_database WHERE datname = current_database()`, true, nil,
		func(scan scan) error { return scan(&checksums, &ignored, &zeroed, &failures, &last) })
	if err != nil {
		return nil, err
	}
	var said []string
	if !checksums {
		said = append(said, "the server keeps no checksums of its pages, so that damage on the disk may not be noticed: stop it, `pg_checksums --enable`, start it (docs/operating.md, \"PostgreSQL\")")
	}
	if ignored || zeroed {
		said = append(said, "the server hides damaged pages: ignore_checksum_failure and zero_damaged_pages must be off")
	}
	if failures > 0 {
		said = append(said, fmt.Sprintf("the server has met damaged pages %d times in this database, last on %s UTC: look at the disk, and `issuer fsck`; once all is repaired `SELECT pg_stat_reset()` forgets them", failures, last))
	}
	return said, nil
}
