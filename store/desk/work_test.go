package desk_test

import (
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sanad-id/sanad/internal/pgtest"
	"github.com/sanad-id/sanad/store/desk"
	"github.com/sanad-id/sanad/work"
	"github.com/sanad-id/sanad/work/worktest"
)

// TestWork: both databases keep the contract of package work.
func TestWork(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		fresh := func(t *testing.T) *desk.DB { return open(t, filepath.Join(t.TempDir(), "desk.db")) }
		worktest.TestStore(t, func(t *testing.T) work.Store { return fresh(t) })
		worktest.TestIndex(t, func(t *testing.T) work.Index { return fresh(t) })
	})
	t.Run("postgres", func(t *testing.T) {
		owner, service := pgtest.New(t)
		c, err := pgx.ParseConfig(service)
		must(t, err)
		must(t, desk.Prepare(t.Context(), owner, desk.Options{ServiceRole: c.User}))
		db := open(t, service)
		empty := func(t *testing.T) *desk.DB {
			for _, table := range []string{"work_item", "work_index", "work_space", "work_record", "work_key", "work_office"} {
				must(t, db.Direct(t.Context(), "DELETE FROM "+table))
			}
			return db
		}
		worktest.TestStore(t, func(t *testing.T) work.Store { return empty(t) })
		worktest.TestIndex(t, func(t *testing.T) work.Index { return empty(t) })
	})
}

// TestWorkRefuses: what the rules forbid the tables refuse, too.
func TestWorkRefuses(t *testing.T) {
	engines(t, func(t *testing.T, location string) {
		db := open(t, location)
		for name, statement := range map[string]string{
			"a state that is none": `INSERT INTO work_item (id, kind, office, programme, record, credential, made, reason, state, queue, problem, shown, requester, approver, opened, changed, due, expires, worker, until, attempt, seen, lost, rev)
				VALUES ('a', 'issue', 'o', 'p', 'r', '', '', '', 'signing', '', '', $1, 'x', '', 0, 0, 0, 0, '', 0, 0, 0, 0, 1)`,
			"approved by who asked": `INSERT INTO work_item (id, kind, office, programme, record, credential, made, reason, state, queue, problem, shown, requester, approver, opened, changed, due, expires, worker, until, attempt, seen, lost, rev)
				VALUES ('a', 'issue', 'o', 'p', 'r', '', '', '', 'agreed', '', '', $1, 'x', 'x', 0, 0, 0, 0, '', 0, 0, 0, 0, 1)`,
		} {
			if err := db.Direct(t.Context(), statement, make([]byte, 32)); err == nil {
				t.Errorf("%s: stored", name)
			}
		}
	})
}
