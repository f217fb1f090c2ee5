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
	warn(e.synchronous && standbys == "", "store_standby is synchronous, and the server has no synchronous_standby_names: a fail-over would lose what was confirmed")
	return a, nil
}
