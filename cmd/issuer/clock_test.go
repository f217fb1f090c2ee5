package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/audit"
)

// TestClockAhead: while the clock is ten months ahead nothing is dated, so that nothing has
// to wait for so long once it is set right (P07). After a long pause somebody says that the
// clock is right, and that stands in the audit log.
func TestClockAhead(t *testing.T) {
	o := newOffice(t)
	records := farmers(t, 3)
	dir, public := o.path("office"), o.path("public")
	id := strings.Fields(o.must(o.issue(records[0])...))[0]
	o.must("status", "publish", "--dir", dir, "--out", public)
	before := o.published(public)

	const ahead = 300 * 24 * time.Hour
	o.wait(ahead)
	const say = "the clock is far ahead"
	for _, args := range [][]string{
		o.issue(records[1]),
		{"revoke", "--dir", dir, id, "--reason", "lost"},
		{"status", "publish", "--dir", dir, "--out", public},
		{"trust", "export", "--dir", dir, "--out", o.path("office.trust")},
		{"keys", "rotate", "--dir", dir},
	} {
		o.refused(say, args...)
	}
	o.wait(-ahead + time.Hour)
	o.must("revoke", "--dir", dir, id, "--reason", "lost")
	o.must("status", "publish", "--dir", dir, "--out", public)
	if after := o.published(public); after.Trust.Number != before.Trust.Number+1 || after.Trust.IssuedAt.After(o.Now()) {
		t.Errorf("bundle %d of %s after %d, the clock says %s", after.Trust.Number, after.Trust.IssuedAt, before.Trust.Number, o.Now())
	}
	o.must("fsck", "--dir", dir)

	o.wait(60 * 24 * time.Hour) // the office was shut
	today := o.Now().Format(time.DateOnly)
	o.refused("issuer clock accept "+today, o.issue(records[1])...)
	o.refused("not a date", "clock", "accept", "--dir", dir, "today")
	o.refused("set the clock", "clock", "accept", "--dir", dir, o.Now().AddDate(0, 0, 1).Format(time.DateOnly))
	o.must("clock", "accept", "--dir", dir, today)
	o.must(o.issue(records[1])...)
	o.must("status", "publish", "--dir", dir, "--out", public)
	o.must("fsck", "--dir", dir)
	o.must("audit", "export", "--dir", dir, "--out", o.path("log"))
	o.must("audit", "verify", o.path("log"))
	b, err := os.ReadFile(filepath.Join(o.path("log"), audit.EntriesFile))
	if err != nil || !strings.Contains(string(b), `"kind":"clock.accepted"`) {
		t.Errorf("the audit log does not say that somebody accepted the clock: %v", err)
	}
}
