package proof

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/pgtest"
)

// elsewhere points the settings of an office to another database, and back.
func (o *office) elsewhere(location string) (back func()) {
	o.t.Helper()
	path := filepath.Join(o.dir, "issuer.yaml")
	text, err := os.ReadFile(path)
	if err != nil || strings.Count(string(text), o.store) != 1 {
		o.t.Fatalf("%v: the settings do not have %s once", err, o.store)
	}
	write := func(content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			o.t.Fatal(err)
		}
	}
	write(strings.Replace(string(text), o.store, location, 1))
	return func() { write(string(text)) }
}

// asOwner runs statements on a PostgreSQL database, as its owner.
func asOwner(t *testing.T, owner, statements string) {
	t.Helper()
	db, err := sql.Open("pgx", owner+"&search_path=sanad")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statements); err != nil {
		t.Fatalf("%.80s: %v", statements, err)
	}
}

// contentOf names what every table of a PostgreSQL database holds.
func contentOf(t *testing.T, owner string) string {
	t.Helper()
	db, done, err := openOwn(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	var tables []string
	err = each(t.Context(), db, `SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%' ORDER BY 1`, func(scan func(...any) error) error {
		tables = append(tables, "")
		return scan(&tables[len(tables)-1])
	})
	var b strings.Builder
	for _, name := range tables {
		var rows, sum string
		if err == nil {
			err = each(t.Context(), db, `SELECT count(*), md5(coalesce(string_agg(t::text, ',' ORDER BY t::text), '')) FROM `+name+` t`, func(scan func(...any) error) error { return scan(&rows, &sum) })
		}
		fmt.Fprintln(&b, name, rows, sum)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestStartsOnWhatItKnowsPostgres is P26 on PostgreSQL: on anything but the database that it
// made the program refuses to start, says which state that is and what to do, and leaves
// everything as it is. Each state is undone before the next.
func TestStartsOnWhatItKnowsPostgres(t *testing.T) {
	o, other := newOffice(t, "postgres"), newOffice(t, "postgres")
	source := o.people("people.csv", 1, 3)
	o.issue(run{}, source, record(1))
	emptyOwner, empty := pgtest.New(t)
	foreignOwner, foreign := pgtest.New(t)
	asOwner(t, foreignOwner, `CREATE TABLE public.credential (a int)`)
	latinOwner, latin := pgtest.NewEncoded(t, "LATIN1")
	missing, err := url.Parse(o.store)
	if err != nil {
		t.Fatal(err)
	}
	missing.Path = "/no_such_database"
	away := *missing
	away.RawQuery = strings.Replace(away.RawQuery, "host=", "host=/nowhere", 1)
	service := missing.Query().Get("user")
	const (
		notThere, altered, denied = "there is no database", "the database schema is incomplete or was altered", "the database server denies it"
	)
	refused := 0
	for _, tt := range []struct {
		name string
		// A state is another database, whose owner is named so that it can be looked at, or
		// statements in this one.
		location, owner string
		prepare, undo   string
		want, hint      string
	}{
		{name: "no database", location: missing.String(), want: notThere, hint: "check the name of the database"},
		{name: "no server", location: away.String(), want: "the database server cannot be reached", hint: "see whether the server runs"},
		{name: "an empty database", location: empty, owner: emptyOwner, want: "the database is empty", hint: "issuer restore"},
		{name: "a database of something else", location: foreign, owner: foreignOwner, want: "a database of another program", hint: "check the name of the database"},
		{name: "a database that is not in UTF-8", location: latin, owner: latinOwner, want: "does not keep text in UTF-8", hint: "ENCODING 'UTF8'"},
		{name: "the database of another issuer", location: other.store, owner: other.owner, want: "belongs to another issuer", hint: "check both paths"},
		{name: "no rights", prepare: `REVOKE SELECT ON meta FROM ` + service, undo: `GRANT SELECT ON meta TO ` + service, want: denied, hint: "issuer migrate"},
		{name: "a newer database", prepare: `INSERT INTO goose_db_version (version_id, is_applied) SELECT max(version_id) + 1, TRUE FROM goose_db_version`,
			undo: `DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)`, want: "the database has a newer schema", hint: "newer version of the program"},
		{name: "a migration that is missing", prepare: `DELETE FROM goose_db_version WHERE version_id = 1`,
			undo: `INSERT INTO goose_db_version (version_id, is_applied) VALUES (1, TRUE)`, want: altered, hint: "restore a backup"},
		{name: "the last migration broke off", prepare: `DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)`,
			undo: `INSERT INTO goose_db_version (version_id, is_applied) SELECT max(version_id) + 1, TRUE FROM goose_db_version`, want: altered, hint: "restore a backup"},
		{name: "no version", prepare: `ALTER TABLE goose_db_version RENAME TO other`, undo: `ALTER TABLE other RENAME TO goose_db_version`, want: altered, hint: "restore a backup"},
		{name: "a table taken away", prepare: `ALTER TABLE batch_chunk RENAME TO other`, undo: `ALTER TABLE other RENAME TO batch_chunk`, want: altered, hint: "restore a backup"},
		{name: "a table more", prepare: `CREATE TABLE more (n int)`, undo: `DROP TABLE more`, want: altered, hint: "restore a backup"},
		{name: "a column more", prepare: `ALTER TABLE credential ADD COLUMN more int`, undo: `ALTER TABLE credential DROP COLUMN more`, want: altered, hint: "restore a backup"},
		{name: "a trigger switched off", prepare: `ALTER TABLE credential DISABLE TRIGGER credential_update`, undo: `ALTER TABLE credential ENABLE TRIGGER credential_update`,
			want: altered, hint: "restore a backup"},
		{name: "a trigger taken away", prepare: `ALTER TRIGGER credential_delete ON credential RENAME TO other`, undo: `ALTER TRIGGER other ON credential RENAME TO credential_delete`,
			want: altered, hint: "restore a backup"},
		{name: "an index taken away", prepare: `ALTER INDEX credential_form_slot RENAME TO other`, undo: `ALTER INDEX other RENAME TO credential_form_slot`, want: altered, hint: "restore a backup"},
		{name: "nobody's database", prepare: `CREATE TABLE public.kept AS TABLE meta; ALTER TABLE meta DISABLE TRIGGER USER; DELETE FROM meta; ALTER TABLE meta ENABLE TRIGGER USER`,
			undo: `INSERT INTO meta SELECT * FROM public.kept; DROP TABLE public.kept`, want: altered, hint: "restore a backup"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			owner := o.owner
			if tt.location != "" {
				owner = tt.owner
				defer o.elsewhere(tt.location)()
			} else {
				asOwner(t, owner, tt.prepare)
				defer asOwner(t, owner, tt.undo)
			}
			look := func() string {
				content := fingerprint(t, o.dir)
				if owner != "" {
					content += contentOf(t, owner)
				}
				return content
			}
			before := look()
			_, got := o.issue(run{mayFail: true}, source, record(2))
			if got.code != 1 || !strings.Contains(got.stderr, "issuer: error:") || strings.Contains(got.stderr, "goroutine ") {
				t.Errorf("it started: %s", got)
			}
			said, hint, _ := strings.Cut(got.stderr, "issuer: hint: ")
			if !strings.Contains(said, tt.want) || !strings.Contains(hint, tt.hint) {
				t.Errorf("it does not say %q and what to do (%q): %s", tt.want, tt.hint, got)
			}
			if after := look(); after != before {
				t.Errorf("it changed something:\n%s\n%s", before, after)
			}
			refused++
		})
	}
	if _, got := o.issue(run{}, source, record(3)); got.code != 0 {
		t.Errorf("all of it was undone, and it does not start: %s", got)
	}
	proved(t, "P26", "postgres", fmt.Sprintf("states=%d", refused), 0)
}
