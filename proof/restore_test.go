package proof

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sanad-id/sanad/internal/faultproxy"
	"github.com/sanad-id/sanad/internal/pgtest"
)

// A comeback is an office on a file whose backup is restored into PostgreSQL.
type comeback struct {
	*office
	file    string // the backup
	journal string // of the office that is gone
	pass    string
}

// newComeback makes an office, its backup, and work that is in the journal only.
func newComeback(t *testing.T) *comeback {
	t.Helper()
	c := &comeback{office: noOffice(t, "sqlite")}
	c.begin("http://localhost:8080")
	j := c.newJob(1, 60)
	j.form = "csv"
	c.batch(run{}, j)
	c.revoked(c.ids[0])
	c.publish(run{}, "status", true)
	c.export(run{})
	c.file, c.pass, c.journal = filepath.Join(c.root, "office.backup"), filepath.Join(c.dir, "secrets", "passphrase"), filepath.Join(c.dir, "journal")
	c.must(run{args: []string{"backup", "--out", c.file, "--passphrase-file", c.pass}})
	c.revoked(c.ids[0])
	c.revoked(c.ids[5])
	id, _ := c.issue(run{}, c.people("late.csv", 2000, 2), record(2000))
	c.revoked(id)
	c.issue(run{}, c.people("late.csv", 2000, 2), record(2001))
	c.publish(run{}, "trust", false)
	c.publish(run{}, "status", true)
	c.fetch()
	return c
}

func (o *office) revoked(id string) {
	o.t.Helper()
	if got := o.change(run{}, "revoke", id); got.code != 0 {
		o.t.Fatalf("revoke: %s", got)
	}
}

// A landing is a database into which the backup is restored.
type landing struct {
	*comeback
	owner, service string
	proxy          *faultproxy.Proxy // the way to it
	dir            string
	args           []string
}

func (c *comeback) landing(name string) *landing {
	c.t.Helper()
	l := &landing{comeback: c, dir: filepath.Join(c.root, name)}
	l.owner, l.service = pgtest.New(c.t)
	l.proxy = faultproxy.Start(c.t, socket(c.t, l.owner))
	l.args = []string{
		"restore", c.file, "--store", l.proxy.URL(c.t, l.service), "--store-owner", l.proxy.URL(c.t, l.owner),
		"--passphrase-file", c.pass, "--key-passphrase-file", c.pass,
	}
	return l
}

// there says whether the directory of the restored issuer is.
func (l *landing) there() bool {
	_, err := os.Stat(l.dir)
	return err == nil
}

// again gives the command once more, without a fault. It comes to its end, or says what has
// to be dropped, which is what then happens.
func (l *landing) again() (dropped bool) {
	l.t.Helper()
	got := l.run(run{args: l.args, dir: l.dir})
	if got.code == 0 {
		return false
	}
	if l.there() || !strings.Contains(got.stderr, "there is something already") || !strings.Contains(got.stderr, dropSchemas) {
		l.t.Fatalf("P27: the restore after the fault: %s, want its end or a hint to %q", got, dropSchemas)
	}
	conn, err := pgx.Connect(l.t.Context(), l.owner)
	if err != nil {
		l.t.Fatal(err)
	}
	defer conn.Close(l.t.Context())
	if _, err := conn.Exec(l.t.Context(), dropSchemas); err != nil {
		l.t.Fatalf("%s: %v", dropSchemas, err)
	}
	l.must(run{args: l.args, dir: l.dir})
	return true
}

// dropSchemas is what the hint says.
const dropSchemas = "DROP SCHEMA IF EXISTS sanad, sanad_desk CASCADE"

// work makes the landing the office, which takes no work until it is confirmed, with a kill on the way,
// and holds everything that the client of the old one has to it.
func (l *landing) work() (violations int) {
	l.t.Helper()
	o := l.office
	o.engine, o.dir, o.store = "postgres", l.dir, l.service
	if got := o.run(run{args: []string{"revoke", o.ids[3], "--reason", "lost"}}); got.code != 1 || !strings.Contains(got.stderr, "restored from a backup; issuer restore confirm") {
		o.t.Errorf("P27: revoke before it is confirmed: %s", got)
	}
	confirm := []string{"restore", "confirm", "--journal", l.journal, "--alone", "--reason", "no-console"}
	o.run(run{args: confirm, after: time.Duration(1+rand.IntN(300)) * time.Millisecond})
	if got := o.run(run{args: confirm}); got.code != 0 && !strings.Contains(got.stderr, "there is nothing to confirm") {
		o.t.Fatalf("restore confirm: %s", got)
	}
	o.must(run{args: []string{"fsck"}})
	o.issue(run{}, o.people("new.csv", 3000, 1), record(3000))
	o.revoked(o.ids[3])
	o.publish(run{}, "trust", false)
	o.publish(run{}, "status", true)
	o.fetch()
	o.export(run{})
	o.must(run{args: []string{"audit", "verify", o.exports[1], "--older", filepath.Join(o.exports[0], "checkpoint.txt")}, bare: true})
	o.must(run{args: []string{"fsck"}})
	o.serve().until(true)
	return o.check(true, true)
}

// loseEnd loses the reply to the last commit of a restore: everything is stored, and the
// program does not learn of it. It counts the messages.
func loseEnd(messages *int) func(faultproxy.Message) faultproxy.Action {
	named := false
	return func(m faultproxy.Message) faultproxy.Action {
		*messages++
		named = named || strings.Contains(m.Text, "'Sanad, the memory of an issuer'")
		if named && m.Commit {
			return faultproxy.Action{Do: faultproxy.LoseReply}
		}
		return faultproxy.Action{}
	}
}

// cutAt ends the connection of a message in one of four ways.
func cutAt(n int) func(faultproxy.Message) faultproxy.Action {
	deeds := []faultproxy.Deed{faultproxy.CutBefore, faultproxy.CutWithin, faultproxy.CutAfter, faultproxy.LoseReply}
	deed, seen := deeds[rand.IntN(len(deeds))], 0
	return func(faultproxy.Message) faultproxy.Action {
		if seen++; seen == n {
			return faultproxy.Action{Do: deed}
		}
		return faultproxy.Action{}
	}
}

// TestRestoreIsKilled is P27 on the way into PostgreSQL: the program is killed, and its
// connections are cut, anywhere in a restore. What is left is nothing, or replaced by the
// same command, or refused with what to drop first; the issuer that comes out in the end
// brings nothing revoked back and uses no slot twice.
func TestRestoreIsKilled(t *testing.T) {
	t.Parallel()
	kills, cuts, drops, violations := 0, 0, 0, 0
	offices, faults := count(1, 10), count(2, 20)
	for range offices {
		c := newComeback(t)
		messages := 0
		var took time.Duration
		var last *landing
		for i := range faults {
			last = c.landing(fmt.Sprint("landing ", i))
			r := run{args: last.args, dir: last.dir}
			switch {
			case i == 0:
				last.proxy.Decide(loseEnd(&messages))
				r.mayFail = true
			case i%2 == 0:
				last.proxy.Decide(cutAt(1 + rand.IntN(messages)))
				r.mayFail = true
			default:
				r.after = time.Duration(rand.Int64N(int64(took)))
			}
			began := time.Now()
			got := c.run(r)
			took = max(took, time.Since(began))
			last.proxy.Decide(func(faultproxy.Message) faultproxy.Action { return faultproxy.Action{} })
			switch {
			case got.killed:
				kills++
			case got.code != 0:
				cuts++
			}
			if !got.killed && last.there() != (got.code == 0) {
				t.Errorf("P27: %s, and the directory is there: %t", got, last.there())
			}
			if !last.there() && last.again() {
				drops++
			}
		}
		violations += last.work()
		if t.Failed() {
			break
		}
	}
	if drops == 0 || kills+cuts < offices {
		t.Errorf("%d kills and cuts, %d of which left a database; the test tests little", kills+cuts, drops)
	}
	proved(t, "P27", "postgres", fmt.Sprintf("program: restores killed=%d cut=%d, to be dropped=%d", kills, cuts, drops), violations)
}
