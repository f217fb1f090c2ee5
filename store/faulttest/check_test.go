package faulttest_test

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/credential/cwt"
)

// A row is one credential as the tables have it.
type row struct {
	state, reason string
	record        string // bytes
	forms         []formRow
	// events counts its audit entries by kind.
	events map[audit.Kind]int
}

type formRow struct {
	list   string
	index  int64
	value  int
	signed []byte
}

// A check compares a database with what the clients received. It reads the
// tables by itself.
type check struct {
	testing.TB
	db   *sql.DB
	rows map[string]*row
	size int64 // of the audit log
}

// A summary says how much was checked.
type summary struct {
	credentials, received, leftovers, superseded int
	swept                                        int // of the leftovers, by the last sweep
	entries                                      int64
}

// String says it in words.
func (s summary) String() string {
	return fmt.Sprintf("%d received, %d recorded, %d superseded and %d leftovers (%d swept in the end), %d audit entries",
		s.received, s.credentials, s.superseded, s.leftovers, s.swept, s.entries)
}

// check proves on the database at url, in which nobody is writing: everything
// that was received is recorded, with digest and slot; nothing is there twice;
// acknowledged revocations are there; and the audit log is whole and says the same.
func (x *issuer) check(url string) summary {
	x.Helper()
	db, err := past(url)
	must(x, err)
	defer db.Close() // only read
	c := &check{TB: x, db: db, rows: map[string]*row{}}
	c.readCredentials()
	c.readLog()
	c.tables()
	c.received(&x.ledger)
	s := summary{credentials: len(c.rows), received: x.ledger.size(), entries: c.size}
	for _, r := range c.rows {
		switch r.reason {
		case "leftover":
			s.leftovers++
		case "superseded":
			s.superseded++
		}
	}
	return s
}

func (c *check) readCredentials() {
	c.Helper()
	rows, err := c.db.QueryContext(c.Context(), `SELECT credential_id, state, reason, record_ref, uri, slot_index, slot_value, signed
		FROM credential JOIN credential_form USING (credential_no) JOIN status_list USING (list_no) ORDER BY credential_no, form_no`)
	must(c, err)
	defer rows.Close() // its error is that of rows.Err
	for rows.Next() {
		var id string
		var record []byte
		var r row
		var f formRow
		must(c, rows.Scan(&id, &r.state, &r.reason, &record, &f.list, &f.index, &f.value, &f.signed))
		if c.rows[id] == nil {
			r.record = string(record)
			r.events = map[audit.Kind]int{}
			c.rows[id] = &r
		}
		c.rows[id].forms = append(c.rows[id].forms, f)
	}
	must(c, rows.Err())
}

// readLog reads the audit log, computes its tree anew and counts what it says of
// each credential.
func (c *check) readLog() {
	c.Helper()
	rows, err := c.db.QueryContext(c.Context(), "SELECT first_entry, entry_count, entries FROM audit_block ORDER BY first_entry")
	must(c, err)
	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(places []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(places))
		for i, p := range places {
			found[i] = hashes[p]
		}
		return found, nil
	})
	for rows.Next() {
		var first, n int64
		var text string
		must(c, rows.Scan(&first, &n, &text))
		if first != c.size || int64(strings.Count(text, "\n")) != n {
			c.Fatalf("the audit log has a block of %d entries at %d, where entry %d should be", n, first, c.size)
		}
		for line := range strings.Lines(text) {
			entry := []byte(strings.TrimSuffix(line, "\n"))
			no, e, err := audit.ParseEntry(entry)
			if err != nil || no != c.size {
				c.Fatalf("audit entry %d has number %d: %v", c.size, no, err)
			}
			more, err := tlog.StoredHashes(c.size, entry, reader)
			must(c, err)
			hashes = append(hashes, more...)
			c.size++
			if e.Credential == "" {
				continue
			}
			if r := c.rows[e.Credential]; r != nil {
				r.events[e.Kind]++
			} else {
				c.Errorf("audit entry %d (%s) is about %s, which is not recorded", no, e.Kind, e.Credential)
			}
		}
	}
	must(c, rows.Err())
	stored := c.bytes("SELECT hashes FROM audit_hashes ORDER BY first_hash")
	var want bytes.Buffer
	for _, h := range hashes {
		want.Write(h[:])
	}
	if !bytes.Equal(stored, want.Bytes()) {
		c.Errorf("the audit log's %d bytes of hashes are not the %d of its entries", len(stored), want.Len())
	}
}

// bytes joins the values of a column.
func (c *check) bytes(query string) []byte {
	c.Helper()
	rows, err := c.db.QueryContext(c.Context(), query)
	must(c, err)
	defer rows.Close() // its error is that of rows.Err
	var all, value []byte
	for rows.Next() {
		must(c, rows.Scan(&value))
		all = append(all, value...)
	}
	must(c, rows.Err())
	return all
}

// tables looks at what must hold of the tables alone.
func (c *check) tables() {
	c.Helper()
	type slot struct {
		list  string
		index int64
	}
	used := map[slot]string{}
	held := map[string]string{}
	for id, r := range c.rows {
		for _, f := range r.forms {
			s := slot{f.list, f.index}
			if other, twice := used[s]; twice {
				c.Errorf("P04: slot %d of %s is used by %s and %s", f.index, f.list, id, other)
			}
			used[s] = id
			if want := map[string]int{"revoked": 1, "suspended": 2}[r.state]; f.value != want {
				c.Errorf("%s is %s, its slot says %d", id, r.state, f.value)
			}
			if signed := !bytes.Equal(f.signed, make([]byte, 32)); !signed && r.state == "active" {
				c.Errorf("%s is active and has no digest", id)
			}
		}
		if other := held[r.record]; r.state != "revoked" && other != "" {
			c.Errorf("P03: duplicate: %s and %s are both held by record %x", id, other, r.record)
		}
		if r.state != "revoked" {
			held[r.record] = id
		}
		signed := 0
		if !bytes.Equal(r.forms[0].signed, make([]byte, 32)) {
			signed = 1
		}
		ended := 0
		if r.state == "revoked" {
			ended = 1
		}
		e := r.events
		if e[audit.CredentialIntended] != 1 || e[audit.CredentialSigned] != signed ||
			e[audit.CredentialRevoked]+e[audit.CredentialLeftover]+e[audit.CredentialSuperseded] != ended {
			c.Errorf("%s is %s (%s), and the audit log has %v", id, r.state, r.reason, e)
		}
	}
	var n int
	must(c, c.db.QueryRowContext(c.Context(), `SELECT count(*) FROM status_list l
		WHERE next_counter < (SELECT count(*) FROM credential_form f WHERE f.list_no = l.list_no)`).Scan(&n))
	if n > 0 {
		c.Errorf("P04: %d lists have given out more slots than they count", n)
	}
}

// received looks at what the clients have.
func (c *check) received(l *ledger) {
	c.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	holders := 0
	for n, got := range l.got {
		r := c.rows[got.id]
		if r == nil {
			c.Errorf("P03: lost: %s for record %d was received and is not recorded", got.id, n)
			continue
		}
		switch {
		case got.revoked && r.state != "revoked":
			c.Errorf("P05: the revocation of %s was acknowledged, and it is %s", got.id, r.state)
		case !got.perhaps && r.state != "active":
			c.Errorf("P03: %s for record %d was received and is %s (%s)", got.id, n, r.state, r.reason)
		}
		if len(got.tokens) != len(r.forms) {
			c.Errorf("P03: %s has %d forms, %d were received", got.id, len(r.forms), len(got.tokens))
			continue
		}
		for i, token := range got.tokens {
			parsed, err := cwt.Parse(token)
			must(c, err)
			f, sum := r.forms[i], sha256.Sum256(token)
			if !bytes.Equal(f.signed, sum[:]) || parsed.Status.URI != f.list || int64(parsed.Status.Index) != f.index {
				c.Errorf("P03: form %d of %s is not what was received", i, got.id)
			}
		}
		if r.state != "revoked" {
			holders++
		}
	}
	active := 0
	for _, r := range c.rows {
		if r.state != "revoked" {
			active++
		}
	}
	if active != holders {
		c.Errorf("P03: %d credentials are valid, clients hold %d", active, holders)
	}
}
