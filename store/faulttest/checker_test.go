package faulttest_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/pgtest"
)

// A recorder takes down what a check finds.
type recorder struct {
	testing.TB
	found []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.found = append(r.found, fmt.Sprintf(format, args...))
}

// stop is what a recorder panics with where a test would end.
type stop struct{}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(stop{})
}

// findings is what the checker says about the database at url.
func (x *issuer) findings(url string) (found []string) {
	r := &recorder{TB: x.TB}
	x.TB = r
	defer func() {
		x.TB, found = r.TB, r.found
		if v := recover(); v != nil && v != (stop{}) {
			panic(v)
		}
	}()
	x.check(url)
	return nil
}

// TestCheckerSees spoils a copy of a good database in one way each. The checker
// must see it, or its zeros elsewhere mean nothing.
func TestCheckerSees(t *testing.T) {
	c := pgtest.Start(t, pgtest.Options{})
	owner, service := c.New(t)
	x := newIssuer(t, owner, service)
	p := x.open(service)
	for range 10 {
		if err := x.ask(t.Context(), int(x.next.Add(1)), []*process{p}); err != nil {
			t.Fatal(err)
		}
	}
	x.end(service)
	if found := x.findings(owner); len(found) > 0 {
		t.Fatalf("a good database: %q", found)
	}
	u, err := url.Parse(owner)
	must(t, err)
	name := strings.TrimPrefix(u.Path, "/")
	last := "(SELECT max(credential_no) FROM credential)"
	for i, tt := range []struct{ name, spoil, want string }{
		{"a credential is lost", "DELETE FROM credential_form WHERE credential_no = 1; DELETE FROM credential WHERE credential_no = 1", "lost"},
		{"it is still intended", "UPDATE credential SET state = 'intended' WHERE credential_no = 1", "is intended"},
		{"it has another digest", "UPDATE credential_form SET signed = decode(repeat('ab', 32), 'hex') WHERE credential_no = 1 AND form_no = 0",
			"not what was received"},
		{"it has another slot", "UPDATE credential_form SET slot_index = slot_index # 1 WHERE credential_no = 1 AND form_no = 1",
			"not what was received"},
		{"a slot is used twice", `DROP INDEX credential_form_slot; UPDATE credential_form f SET slot_index =
			(SELECT slot_index FROM credential_form g WHERE g.credential_no = 1 AND g.form_no = f.form_no) WHERE credential_no = 2`, "P04: slot"},
		{"a record holds two", `DROP INDEX credential_holder; UPDATE credential SET record_ref =
			(SELECT record_ref FROM credential WHERE credential_no = 1) WHERE credential_no = 2`, "duplicate"},
		{"one was revoked", "UPDATE credential SET state = 'revoked', reason = 'lost', vacated = 1 WHERE credential_no = 1", "and is revoked"},
		{"a revocation is lost", "UPDATE credential SET state = 'active', reason = '', vacated = 0 WHERE state = 'revoked'", "P05"},
		{"its slot does not say so", "UPDATE credential_form SET slot_value = 0 WHERE slot_value = 1", "its slot says 0"},
		{"slots were given out uncounted", "UPDATE status_list SET next_counter = 3", "more slots than they count"},
		{"the log lost its end", "DELETE FROM audit_block WHERE first_entry = (SELECT max(first_entry) FROM audit_block)", "hashes"},
		{"the log lost a block", "DELETE FROM audit_block WHERE first_entry = (SELECT min(first_entry) FROM audit_block WHERE first_entry > 0)",
			"should be"},
		{"an entry was changed", "UPDATE audit_block SET entries = replace(entries, '\"tester\"', '\"toaster\"')", "hashes"},
		{"a hash was changed", "UPDATE audit_hashes SET hashes = set_byte(hashes, 5, get_byte(hashes, 5) # 1) WHERE first_hash = 0", "hashes"},
		{"nobody received this one", `INSERT INTO credential SELECT (c).* FROM (SELECT jsonb_populate_record(c, jsonb_build_object(
			'credential_no', c.credential_no + 1, 'credential_id', 'Z' || substr(c.credential_id, 2), 'record_ref', '\x' || repeat('cd', 32),
			'idempotency_key', NULL)) AS c FROM credential c WHERE credential_no = ` + last + `) s;
			INSERT INTO credential_form SELECT ` + last + `, form_no, form, list_no, slot_index + 1, slot_value, key_id, to_be_signed, signed
			FROM credential_form WHERE credential_no = ` + last + ` - 1`, "clients hold"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			copied := fmt.Sprintf("copy_%d", i)
			c.Exec(t, "postgres:///postgres", "CREATE DATABASE "+copied+" TEMPLATE "+name)
			at := *u
			at.Path = "/" + copied
			// Past all triggers and keys.
			c.Exec(t, at.String(), "SET search_path = sanad; SET session_replication_role = replica; "+tt.spoil)
			found := x.findings(at.String())
			if !strings.Contains(strings.Join(found, "\n"), tt.want) {
				t.Errorf("the checker says %q, want something about %q", found, tt.want)
			}
		})
	}
}
