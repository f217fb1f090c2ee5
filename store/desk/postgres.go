package desk

import (
	"github.com/jackc/pgx/v5"

	"github.com/sanad-id/sanad/internal/sqldb"
)

const (
	// schemaName is the schema of everything that is ours.
	schemaName = "sanad_desk"
	// lockClass is the first key of the advisory lock of who makes the schema.
	lockClass = applicationID
)

const postgresFirst = `CREATE SCHEMA IF NOT EXISTS sanad_desk;
CREATE TABLE meta (
	one     smallint NOT NULL PRIMARY KEY CHECK (one = 1),
	version bigint NOT NULL,
	secret  bytea NOT NULL CHECK (length(secret) = 32)
);`

// parameters are the settings that every connection needs. No transaction may keep
// others waiting for long.
var parameters = map[string]string{
	"application_name": "sanad-desk", "search_path": schemaName + ", pg_temp", "client_encoding": "UTF8", "timezone": "UTC", "jit": "off",
	"idle_in_transaction_session_timeout": "15000", "statement_timeout": "15000",
}

func openPostgres(location string, o Options) (*DB, error) {
	pool, err := sqldb.OpenServer(location, o.Password, parameters, 16, 4)
	if err != nil {
		return nil, err
	}
	return &DB{readers: pool, writers: pool, postgres: true}, nil
}

func postgresVersion(t tx) (version int, may bool, err error) {
	// Whoever makes the schema makes all of it before another looks.
	if _, err := t.exec(`SELECT pg_advisory_xact_lock($1::int, 0)`, lockClass); err != nil {
		return 0, false, err
	}
	var there, create, ours bool
	var encoding string
	_, err = t.one(`SELECT current_setting('server_encoding'), to_regclass($1 || '.meta') IS NOT NULL, has_database_privilege(current_database(), 'CREATE'),
		coalesce((SELECT nspowner = (SELECT oid FROM pg_roles WHERE rolname = current_user) FROM pg_namespace WHERE nspname = $1), false)`,
		[]any{schemaName}, &encoding, &there, &create, &ours)
	if err == nil {
		err = sqldb.CheckEncoding(encoding)
	}
	if err != nil || !there {
		return 0, create, err
	}
	_, err = t.one(`SELECT version FROM meta`, nil, &version)
	return version, ours, err
}

// grant gives the service role what it needs.
func grant(t tx, role string) error {
	to := pgx.Identifier{role}.Sanitize()
	for _, right := range []string{
		"USAGE ON SCHEMA " + schemaName, "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA " + schemaName,
	} {
		if _, err := t.exec("GRANT " + right + " TO " + to); err != nil {
			return err
		}
	}
	_, err := t.exec("REVOKE INSERT, UPDATE, DELETE ON meta FROM " + to)
	return err
}
