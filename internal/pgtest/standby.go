package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Standby starts a second server that follows this one, with the same options.
// If it is synchronous, no commit of the first is acknowledged before the second
// has it on disk. It is removed when the test ends.
func (c *Cluster) Standby(t testing.TB, synchronous bool) *Cluster {
	t.Helper()
	s, err := newFolder(c.o)
	if err != nil {
		t.Fatalf("pgtest: standby: %v", err)
	}
	s.endWith(t)
	if err := s.follow(c, synchronous); err != nil {
		t.Fatalf("pgtest: standby: %v", err)
	}
	return s
}

func (s *Cluster) follow(c *Cluster, synchronous bool) error {
	copying := s.command("pg_basebackup", "-D", s.data(), "-h", c.dir, "-p", strconv.Itoa(c.port), "-U", admin,
		"-R", "-X", "stream", "-c", "fast", "--no-sync")
	if out, err := copying.CombinedOutput(); err != nil {
		return fmt.Errorf("pg_basebackup: %w: %s", err, bytes.TrimSpace(out))
	}
	if err := s.launch(); err != nil {
		return err
	}
	want := "async"
	if synchronous {
		want = "sync"
		if err := c.set("synchronous_standby_names", `"`+s.name()+`"`); err != nil {
			return err
		}
	}
	return c.until(fmt.Sprintf(`SELECT EXISTS (SELECT FROM pg_stat_replication
		WHERE application_name = '%s' AND state = 'streaming' AND sync_state = '%s')`, s.name(), want))
}

// name is what a standby calls itself at its primary.
func (c *Cluster) name() string { return filepath.Base(c.dir) }

// set changes a setting of the running server.
func (c *Cluster) set(name, value string) error {
	return c.do(func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, fmt.Sprintf("ALTER SYSTEM SET %s = '%s'", name, value)); err != nil {
			return err
		}
		_, err := conn.Exec(ctx, "SELECT pg_reload_conf()")
		return err
	})
}

// until waits until a query answers true.
func (c *Cluster) until(query string) error {
	return c.do(func(ctx context.Context, conn *pgx.Conn) error {
		for {
			var yes bool
			if err := conn.QueryRow(ctx, query).Scan(&yes); err != nil {
				return err
			}
			if yes {
				return nil
			}
			select {
			case <-ctx.Done():
				return errors.New("waited too long for " + query)
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
}

// HoldBack makes a standby receive nothing more from its primary: what is
// committed there from now on is not on the standby.
func (c *Cluster) HoldBack(t testing.TB) {
	t.Helper()
	err := c.set("primary_conninfo", "")
	if err == nil {
		err = c.until(`SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver)`)
	}
	if err != nil {
		t.Fatalf("pgtest: hold back: %v", err)
	}
}

// CatchUp waits until the standby c has everything that its primary has written.
func (c *Cluster) CatchUp(t testing.TB, primary *Cluster) {
	t.Helper()
	var end string
	err := primary.do(func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT pg_current_wal_flush_lsn()::text").Scan(&end)
	})
	if err == nil {
		err = c.until("SELECT pg_last_wal_replay_lsn() >= '" + end + "'")
	}
	if err != nil {
		t.Fatalf("pgtest: catch up: %v", err)
	}
}

// Promote makes a standby take over: it can be written to from now on, on a
// timeline of its own. Nobody sees to it that the primary is dead; kill it.
func (c *Cluster) Promote(t testing.TB) {
	t.Helper()
	err := c.do(func(ctx context.Context, conn *pgx.Conn) error {
		var done bool
		if err := conn.QueryRow(ctx, "SELECT pg_promote(true, $1)", int(patience.Seconds())).Scan(&done); err != nil {
			return err
		}
		if !done {
			return errors.New("it did not become a primary")
		}
		return nil
	})
	if err == nil {
		err = c.until("SELECT NOT pg_is_in_recovery()")
	}
	if err != nil {
		t.Fatalf("pgtest: promote: %v", err)
	}
}

// Timeline is the timeline that the server writes to: 1 at first, and another
// after each promotion.
func (c *Cluster) Timeline(t testing.TB) int {
	t.Helper()
	var timeline int
	err := c.do(func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int").Scan(&timeline)
	})
	if err != nil {
		t.Fatalf("pgtest: timeline: %v", err)
	}
	return timeline
}
