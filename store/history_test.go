package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
)

// TestAuditLookups: entries are found by number, and by moment and id, without reading
// the log from its beginning; what lies outside of the blocks that may be read is not.
func TestAuditLookups(t *testing.T) {
	db := create(t)
	first, err := db.AuditSize(t.Context())
	must(t, err)
	const blocks, each = 30, 3
	at := func(b int) time.Time { return now.Add(time.Duration(b) * time.Minute) }
	id := func(b, i int) string { return fmt.Sprintf("CRED%02d%d", b, i) }
	for b := range blocks {
		must(t, db.Write(t.Context(), func(tx issuance.Tx) error {
			var events []audit.Event
			for i := range each {
				events = append(events, audit.Event{Time: at(b), Kind: audit.CredentialIntended, Actor: "op-1", Credential: id(b, i), Programme: "p"})
			}
			return tx.Append(events)
		}))
	}
	for _, n := range []int64{first, first + 1, first + each, first + blocks*each - 1} {
		entry, err := db.AuditEntry(t.Context(), n)
		must(t, err)
		got, e, err := audit.ParseEntry(entry)
		if err != nil || got != n || e.Credential != id(int(n-first)/each, int(n-first)%each) {
			t.Errorf("entry %d: %d of %s, %v", n, got, e.Credential, err)
		}
	}
	for _, n := range []int64{-1, first + blocks*each} {
		if entry, err := db.AuditEntry(t.Context(), n); err == nil {
			t.Errorf("entry %d, which there is not: %s", n, entry)
		}
	}
	for n := first; n <= first+blocks*each; n++ {
		size, err := db.AuditSizeFrom(t.Context(), n)
		if want := first + (n-first+each-1)/each*each; err != nil || size != want {
			t.Errorf("the least size from %d is %d, want %d: %v", n, size, want, err)
		}
	}
	for _, tt := range []struct {
		name   string
		id     string
		since  time.Time
		blocks int
		want   int
	}{
		{"at its moment", id(17, 1), at(17), 1, 1},
		{"a little before", id(17, 2), at(17).Add(-time.Second), 1, 1},
		{"blocks later", id(17, 0), at(15), 3, 1},
		{"too many blocks later", id(17, 0), at(15), 2, 0},
		{"after it", id(17, 0), at(18), 9, 0},
		{"the last one", id(blocks-1, 2), at(blocks - 1), 9, 1},
		{"the first one, from the beginning of time", id(0, 0), time.Time{}, 5, 1},
		{"after the end", id(0, 0), at(blocks + 5), 9, 0},
		{"a part of an id", "CRED1", at(10), 5, 0},
	} {
		found, err := db.AuditMentions(t.Context(), tt.id, tt.since, tt.blocks)
		if err != nil || len(found) != tt.want {
			t.Errorf("%s: %d entries, want %d: %v", tt.name, len(found), tt.want, err)
		}
	}
}
