package faulttest_test

import (
	"database/sql"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/sanad-id/sanad/internal/sqldb"
	"github.com/sanad-id/sanad/store"
)

// create makes the issuer's database as its owner, for a service with another
// role; a file, which is its own owner, for the process that opens it.
func create(t testing.TB, owner, service string) {
	t.Helper()
	u, err := url.Parse(service)
	must(t, err)
	db, err := store.Create(t.Context(), owner, store.Options{Instance: instance, ServiceRole: u.Query().Get("user")})
	must(t, err)
	must(t, db.Close())
}

// plain is the URL of a database for who goes past the store.
func plain(url string) string { return url + "&search_path=sanad" }

// past opens a database to read its tables without the store: a file by its absolute path.
func past(url string) (*sql.DB, error) {
	if filepath.IsAbs(url) {
		return sqldb.OpenFile(url, "ro", 1, 1)
	}
	return sql.Open("pgx", plain(url))
}
