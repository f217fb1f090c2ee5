package parties

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
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

// openPostgres reads a URL and refuses one that would send what nobody else should see
// through a network in plain text.
func openPostgres(location string, o Options) (*DB, error) {
	c, err := pgx.ParseConfig(location)
	if err != nil {
		return nil, fmt.Errorf("the URL of the database: %v", err) // pgx leaves the password out
	}
	if c.Password == "" {
		c.Password = o.Password
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 5 * time.Second
	}
	for name, value := range parameters {
		c.RuntimeParams[name] = value
	}
	if !safe(&c.Config) {
		return nil, errors.New("the connection to the database would not be protected; add sslmode=verify-full to the URL")
	}
	pool := stdlib.OpenDB(*c)
	pool.SetMaxOpenConns(8)
	pool.SetMaxIdleConns(2)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	return &DB{pool: pool, postgres: true}, nil
}

// safe reports whether nobody on the way can read or change what is sent to any of the
// servers.
func safe(c *pgconn.Config) bool {
	hosts := []*pgconn.FallbackConfig{{Host: c.Host, Port: c.Port, TLSConfig: c.TLSConfig}}
	for _, h := range append(hosts, c.Fallbacks...) {
		network, _ := pgconn.NetworkAddress(h.Host, h.Port)
		ip := net.ParseIP(h.Host)
		switch {
		case network == "unix", h.Host == "localhost", ip != nil && ip.IsLoopback():
		case h.TLSConfig == nil || h.TLSConfig.InsecureSkipVerify:
			return false
		}
	}
	return true
}

func postgresThere(t tx) (bool, error) {
	// Whoever makes the schema makes all of it before another looks.
	if _, err := t.exec(`SELECT pg_advisory_xact_lock($1::int, 0)`, lockClass); err != nil {
		return false, err
	}
	var there bool
	_, err := t.one(`SELECT to_regclass($1 || '.meta') IS NOT NULL`, []any{schemaName}, &there)
	return there, err
}

// collided reports whether another transaction was faster and this one may be repeated.
func collided(err error) bool {
	f, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (f.Code == "40001" || f.Code == "40P01")
}

// duplicate reports whether a row is there already.
func duplicate(err error) bool {
	if f, ok := errors.AsType[*pgconn.PgError](err); ok {
		return f.Code == "23505"
	}
	return sqliteDuplicate(err)
}

// postgresText is what can be told of an error: what the server says about it may hold
// values of a row.
func postgresText(err error) (string, bool) {
	if f, ok := errors.AsType[*pgconn.PgError](err); ok {
		return "the database server reports " + f.Code, true
	}
	return "", false
}
