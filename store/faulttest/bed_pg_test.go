package faulttest_test

import (
	"net/url"
	"testing"

	"github.com/sanad-id/sanad/store"
)

// create makes the issuer's database as its owner, for a service with another
// role.
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
