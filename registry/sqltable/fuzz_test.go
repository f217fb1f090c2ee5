package sqltable_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/registry/sqltable"
)

// sample is a source of a few records, to make marks of.
func sample(f *testing.F) *sqltable.Source {
	s := sqliteServer(f)
	s.do(f, `CREATE TABLE people (id, name TEXT)`,
		`INSERT INTO people VALUES (1, 'a'), (12, 'b'), ('123', 'c'), ('আয়েশা', 'd'), ('আ', 'e'), ('আ', 'f'), (NULL, 'g'), (x'00', 'h')`)
	return open(f, sqltable.Options{Database: s.database, Table: "people", IDColumn: "id"})
}

// recoded checks that a mark that is taken has one spelling only, so that
// whatever is not a mark is refused.
func recoded(t *testing.T, m []byte, recode func(registry.Mark, string) (registry.Mark, error)) {
	again, err := recode(m, "id")
	if err != nil {
		if !errors.Is(err, registry.ErrMark) {
			t.Errorf("%v, want ErrMark", err)
		}
		return
	}
	if string(again) != string(m) {
		t.Errorf("decoded and encoded: %d bytes, want the same %d", len(again), len(m))
	}
}

func FuzzMark(f *testing.F) {
	m, err := sample(f).Mark(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	if _, err := sqltable.RecodeMark(m, "id"); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(m))
	boundtest.Fuzz(f, func(t *testing.T, m []byte) { recoded(t, m, sqltable.RecodeMark) })
}

func FuzzRange(f *testing.F) {
	s := sample(f)
	for _, n := range []int{1, 3} {
		for r, err := range s.Ranges(f.Context(), n) {
			if err != nil {
				f.Fatal(err)
			}
			if _, err := sqltable.RecodeRange(r.Start, "id"); err != nil {
				f.Fatal(err)
			}
			f.Add([]byte(r.Start))
		}
	}
	boundtest.Fuzz(f, func(t *testing.T, m []byte) { recoded(t, m, sqltable.RecodeRange) })
}

// FuzzTimestamp checks that what PostgreSQL writes for a moment is the same
// moment in RFC 3339, and that nothing else is changed.
func FuzzTimestamp(f *testing.F) {
	for _, s := range []string{"2026-01-31 08:05:00", "2026-01-31 08:05:00.25+00", "infinity", "0044-03-15 12:00:00 BC", "12026-01-01 00:00:00", " ", "a b"} {
		f.Add(s)
	}
	boundtest.FuzzParses(f, 4, func(t *testing.T, s string) {
		for _, zone := range []bool{false, true} {
			in, out := "2006-01-02 15:04:05.999999", "2006-01-02T15:04:05.999999"
			if zone {
				in, out = in+"-07", out+"Z07:00"
			}
			got := sqltable.TimestampText(s, zone)
			// Go takes more than one space, and commas: what PostgreSQL never writes.
			if want, err := time.Parse(in, s); err == nil && want.Format(in) == s && (!zone || strings.HasSuffix(s, "+00")) {
				if at, err := time.Parse(out, got); err != nil || !at.Equal(want) {
					t.Errorf("%q became %q", s, got)
				}
				continue
			}
			want := strings.Replace(s, " ", "T", 1)
			if zone {
				want = strings.TrimSuffix(want, "+00") + "Z"
			}
			if got != s && got != want {
				t.Errorf("%q became %q", s, got)
			}
		}
	})
}

// FuzzLocation checks that no URL is taken that has a password, or that sends
// records over a network without a certificate that proves the server.
func FuzzLocation(f *testing.F) {
	for _, s := range []string{
		"postgres://u@h/d", "postgres://u@localhost:5433/d?sslmode=disable", "postgres:///d?host=/run/postgresql&user=u",
		"postgresql://u@[::1]/d", "postgres://u:p@h/d", "postgres://u@h,localhost/d", "postgres://u@h/d?sslmode=verify-full&sslrootcert=a'b\\",
	} {
		f.Add(s)
	}
	boundtest.Fuzz(f, func(t *testing.T, s string) {
		dsn, err := sqltable.ConnString(s)
		if err != nil {
			if !errors.Is(err, sqltable.ErrLocation) {
				t.Errorf("%v, want ErrLocation", err)
			}
			return
		}
		c, err := pgconn.ParseConfig(dsn)
		if err != nil {
			return // such as a certificate that is not there
		}
		ip, _ := netip.ParseAddr(c.Host)
		local := strings.HasPrefix(c.Host, "/") || c.Host == "localhost" || ip.IsLoopback()
		proven := c.TLSConfig != nil && !c.TLSConfig.InsecureSkipVerify && c.TLSConfig.ServerName == c.Host
		if c.Password != "" || c.Host == "" || c.User == "" || c.Database == "" || !local && (!proven || len(c.Fallbacks) > 0) {
			t.Errorf("%q is taken: host %q, certificate checked: %t", s, c.Host, proven)
		}
	})
}
