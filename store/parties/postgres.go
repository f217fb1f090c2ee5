package parties

import (
	"strings"

	"github.com/sanad-id/sanad/internal/sqldb"
)

const (
	// schemaName is the schema of everything that is ours.
	schemaName = "sanad_parties"
	// lockClass is the first key of the advisory lock of who makes the schema.
	lockClass = applicationID
)

// postgresSchema is the schema with the types of PostgreSQL.
func postgresSchema(text string) string {
	return "CREATE SCHEMA IF NOT EXISTS " + schemaName + ";" +
		strings.NewReplacer(" INTEGER ", " bigint ", " TEXT ", ` text COLLATE "C" `, " BLOB ", " bytea ", ") STRICT;", ");").Replace(text)
}

// parameters are the settings that every connection needs. No transaction may keep
// others waiting for long.
var parameters = map[string]string{
	"application_name": "sanad-parties", "search_path": schemaName + ", pg_temp", "client_encoding": "UTF8", "timezone": "UTC", "jit": "off",
	"default_transaction_isolation": "read committed", "idle_in_transaction_session_timeout": "15000", "statement_timeout": "15000",
}

func openPostgres(location string, o Options) (*DB, error) {
	pool, err := sqldb.OpenServer(location, o.Password, parameters, 8, 2)
	if err != nil {
		return nil, err
	}
	return &DB{pool: pool, postgres: true}, nil
}

func postgresThere(t tx) (bool, error) {
	// Whoever makes the schema makes all of it before another looks.
	if _, err := t.exec(`SELECT pg_advisory_xact_lock($1::int, 0)`, lockClass); err != nil {
		return false, err
	}
	var encoding string
	var there bool
	_, err := t.one(`SELECT current_setting('server_encoding'), to_regclass($1 || '.meta') IS NOT NULL`, []any{schemaName}, &encoding, &there)
	if err == nil {
		err = sqldb.CheckEncoding(encoding)
	}
	return there, err
}
