package sqltable_test

import (
	"context"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sanad-id/sanad/internal/pgtest"
)

// postgresServer is a new PostgreSQL database. Its role owns nothing and may do
// what grant gives it.
func postgresServer(t testing.TB) server {
	t.Helper()
	owner, service := pgtest.New(t)
	u, err := url.Parse(service)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return server{database: service, role: u.Query().Get("user"), exec: func(t testing.TB, statement string) {
		t.Helper()
		// The simple protocol, since a test's statement may be several.
		if _, err := conn.PgConn().Exec(t.Context(), statement).ReadAll(); err != nil {
			t.Fatalf("%.200s: %v", statement, err)
		}
	}}
}
