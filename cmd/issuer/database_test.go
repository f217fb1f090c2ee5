package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sanad-id/sanad/internal/pgtest"
)

// sqliteRun runs a script of SQL: sqlite FILE SCRIPT
func sqliteRun(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sqlite FILE SCRIPT")
	}
	db, err := sql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	_, err = db.ExecContext(context.Background(), ts.ReadFile(args[1]))
	ts.Check(err)
}

// sources puts sources into a settings file that has none: sources SETTINGS TEXT
func sources(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sources SETTINGS TEXT")
	}
	before := ts.ReadFile(args[0])
	after := strings.Replace(before, "sources: {}\n", ts.ReadFile(args[1]), 1)
	if after == before {
		ts.Fatalf("%s has no empty sources", args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(after), 0o600))
}

// TestIssueFromPostgreSQL is the script database.txtar on PostgreSQL: the sample
// country's script as it stands, a view, a role that may read it and nothing
// else, and a code that the verifier takes.
func TestIssueFromPostgreSQL(t *testing.T) {
	owner, service := pgtest.New(t)
	verifier := buildVerifier(t)
	birth, err := filepath.Abs("../../examples/programmes/birth-certificate.yaml")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	issuer := func(want int, args ...string) (stdout, stderr string) {
		t.Helper()
		var out, talk bytes.Buffer
		if code := run(t.Context(), args, strings.NewReader(""), &out, &talk); code != want {
			t.Fatalf("issuer %s: exit status %d, want %d\n%s%s", strings.Join(args, " "), code, want, &out, &talk)
		}
		return out.String(), talk.String()
	}
	script, _ := issuer(0, "sample", "births", "--records", "60", "--seed", "3", "--format", "sql")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, owner)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	u, err := url.Parse(service)
	if err != nil {
		t.Fatal(err)
	}
	role := u.Query().Get("user")
	do := func(statement string) {
		t.Helper()
		if _, err := conn.PgConn().Exec(ctx, statement).ReadAll(); err != nil {
			t.Fatalf("%.100s: %v", statement, err)
		}
	}
	do(script)

	issuer(0, "init", "office", "--name", "Civil Registry", "--country", "XA", "--url", "https://registry.example")
	settings := filepath.Join("office", "issuer.yaml")
	b, err := os.ReadFile(settings)
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.Replace(b, []byte("sources: {}\n"), fmt.Appendf(nil, "sources:\n  births:\n    sql: {database: %q, table: birth_certificate}\n    id_column: registration_number\n", service), 1)
	if err := os.WriteFile(settings, b, 0o600); err != nil {
		t.Fatal(err)
	}
	_, talk := issuer(1, "source", "show", "births", "--dir", "office")
	if want := `GRANT SELECT ON "public"."birth_certificate" TO "` + role + `"`; !strings.Contains(talk, want) {
		t.Errorf("source show says %q, want %q in it", talk, want)
	}
	do("GRANT SELECT, UPDATE ON birth_certificate TO " + role)
	if out, _ := issuer(0, "source", "show", "births", "--dir", "office"); !strings.Contains(out, "warning: role") {
		t.Errorf("source show says %q, want a warning of the right to write", out)
	}
	do("REVOKE UPDATE ON birth_certificate FROM " + role)
	if out, _ := issuer(0, "source", "show", "births", "--dir", "office"); strings.Contains(out, "warning") || !regexp.MustCompile(`^6\d records, 0 broken`).MatchString(out) {
		t.Errorf("source show says %q", out)
	}
	issuer(0, "programme", "add", "--dir", "office", birth)
	issuer(3, "batch", "--dir", "office", "--programme", "birth-certificate", "--source", "births", "--out", "out", "--form", "text")
	issuer(0, "trust", "export", "--dir", "office", "--out", "office.trust")
	files, err := filepath.Glob(filepath.Join("out", "*.txt"))
	if err != nil || len(files) < 50 {
		t.Fatalf("%d codes, %v", len(files), err)
	}
	verify(t, verifier, 0, files[0])
}
