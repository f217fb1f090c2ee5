package verifier_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/internal/pgtest"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/store/parties"
)

// A flaky is a place of keys and usage that can be out of reach, and whose replies can
// be lost.
type flaky struct {
	*parties.DB
	away, lost atomic.Bool
}

var errAway = errors.New("the database is away")

func (f *flaky) Keys(ctx context.Context) ([]parties.Key, error) {
	if f.away.Load() {
		return nil, errAway
	}
	return f.DB.Keys(ctx)
}

func (f *flaky) AddUsage(ctx context.Context, batch parties.Batch, now time.Time, counts []parties.Count) error {
	if f.away.Load() {
		return errAway
	}
	err := f.DB.AddUsage(ctx, batch, now, counts)
	if f.lost.Load() {
		return errAway // it was stored, and nobody knows
	}
	return err
}

func newParties(t *testing.T, location string) *flaky {
	t.Helper()
	db, err := parties.Open(t.Context(), location, parties.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return &flaky{DB: db}
}

// onBoth runs f with a place of keys and usage in a file and on PostgreSQL.
func onBoth(t *testing.T, f func(t *testing.T, db *flaky)) {
	t.Run("sqlite", func(t *testing.T) { f(t, newParties(t, filepath.Join(t.TempDir(), "parties.db"))) })
	t.Run("postgres", func(t *testing.T) {
		owner, _ := pgtest.New(t)
		f(t, newParties(t, owner))
	})
}

func addKey(t *testing.T, db *flaky, k parties.Key, secret string) parties.Key {
	t.Helper()
	k.Digest = sha256.Sum256([]byte(secret))
	if k.Created.IsZero() {
		k.Created = now
	}
	k, err := db.AddKey(t.Context(), k, nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// as calls with the key of somebody.
func (s *scene) as(t *testing.T, secret, method, path string, body object) got {
	t.Helper()
	if body == nil {
		return s.call(t, method, path, "", nil, "Authorization", "Bearer "+secret)
	}
	return s.call(t, method, path, web.MediaJSON, mustJSON(t, body), "Authorization", "Bearer "+secret)
}

// TestKeyRefused is the table of refusals for keys: each row spoils one thing.
func TestKeyRefused(t *testing.T) {
	s := newScene(t)
	db := newParties(t, filepath.Join(t.TempDir(), "parties.db"))
	s.keyring, s.usage = db, db
	all := []parties.Scope{parties.Requests, parties.Verify, parties.Usage}
	addKey(t, db, parties.Key{Party: "library", Scopes: all}, "good")
	addKey(t, db, parties.Key{Party: "library", Scopes: all, Expires: now}, "expired")
	addKey(t, db, parties.Key{Party: "library", Scopes: all, Expires: now.Add(time.Hour)}, "ends in an hour")
	gone := addKey(t, db, parties.Key{Party: "library", Scopes: all}, "revoked")
	if err := db.RevokeKey(t.Context(), gone.ID, now); err != nil {
		t.Fatal(err)
	}
	addKey(t, db, parties.Key{Party: "library", Scopes: []parties.Scope{parties.Tallies}}, "uploads only")
	addKey(t, db, parties.Key{Party: "library", Scopes: []parties.Scope{parties.Verify}}, "proofs only")
	addKey(t, db, parties.Key{Party: "library", Scopes: all, Policies: []string{"open"}}, "another policy")
	addKey(t, db, parties.Key{Party: "shop", Scopes: all}, "shop")
	s.service = s.serve(t)
	ask := object{"policy": "card"}
	c := decode[verifier.Created](t, s.as(t, "good", "POST", "/requests", ask).body)
	if c.ID == "" {
		t.Fatal("the good key makes no request")
	}
	own := "/requests/" + c.ID
	for _, tt := range []struct {
		name, key, method, path string
		body                    object
		status                  int
		code                    string
	}{
		{"good", "good", "GET", own, nil, 200, ""},
		{"another key of the same party", "ends in an hour", "GET", own, nil, 200, ""},
		{"no key", "", "POST", "/requests", ask, 401, "unauthorized"},
		{"an unknown key", "nobody's", "POST", "/requests", ask, 401, "unauthorized"},
		{"a name in place of the key", "library", "POST", "/requests", ask, 401, "unauthorized"},
		{"an expired key", "expired", "POST", "/requests", ask, 401, "key_expired"},
		{"a revoked key", "revoked", "POST", "/requests", ask, 401, "key_revoked"},
		{"a key for uploads that asks", "uploads only", "POST", "/requests", ask, 403, "scope"},
		{"a key for uploads that reads", "uploads only", "GET", own, nil, 403, "scope"},
		{"a key for uploads that reads figures", "uploads only", "GET", "/usage", nil, 403, "scope"},
		{"a key for proofs that asks", "proofs only", "POST", "/requests", ask, 403, "scope"},
		{"a key for proofs that follows", "proofs only", "GET", own + "/events", nil, 403, "scope"},
		{"a key for proofs that takes a result", "proofs only", "POST", own + "/result", object{"response_code": "x", "browser": browser}, 403, "scope"},
		{"a policy that is not its own", "another policy", "POST", "/requests", ask, 404, "unknown_policy"},
		{"another party's request", "shop", "GET", own, nil, 404, "not_found"},
		{"another party's stream", "shop", "GET", own + "/events", nil, 404, "not_found"},
		{"another party's result", "shop", "POST", own + "/result", object{"response_code": "x", "browser": browser}, 404, "not_found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := s.as(t, tt.key, tt.method, tt.path, tt.body)
			if g.status != tt.status || g.code() != tt.code {
				t.Errorf("%d %s, want %d %s", g.status, g.body, tt.status, tt.code)
			}
			if (g.status == 401) != (g.header.Get("WWW-Authenticate") != "") {
				t.Errorf("%d with WWW-Authenticate %q", g.status, g.header.Get("WWW-Authenticate"))
			}
		})
	}
	for scheme, want := range map[string]int{"Basic ": 401, "": 401, "bearer ": 200} {
		if g := s.call(t, "GET", own, "", nil, "Authorization", scheme+"good"); g.status != want {
			t.Errorf("Authorization %q: %d, want %d", scheme, g.status, want)
		}
	}
	if text := string(s.call(t, "GET", s.server.PrivateURL()+"/metrics", "", nil).body); !strings.Contains(text, `sanad_verifier_key_refusals_total{reason="scope"} 6`) {
		t.Error("the figures do not count refusals for their scope")
	}
	if g := s.call(t, "GET", s.server.PrivateURL()+own, "", nil); g.status != 404 {
		t.Errorf("where there are keys the private port answers relying parties: %d", g.status)
	}
}

// TestKeyChanges: what is revoked, added or ends counts from the next second on, without a
// restart; while the place of keys is away those that were read work for a minute.
func TestKeyChanges(t *testing.T) {
	s := newScene(t)
	db := newParties(t, filepath.Join(t.TempDir(), "parties.db"))
	s.keyring = db
	old := addKey(t, db, parties.Key{Party: "library", Scopes: []parties.Scope{parties.Requests}}, "old")
	s.service = s.serve(t, verifier.APIKey{Name: "fixed", Digest: sha256.Sum256([]byte("in the settings"))})
	expect := func(what string, want map[string]int) {
		t.Helper()
		for key, status := range want {
			if g := s.as(t, key, "GET", "/requests/none", nil); g.status != status {
				t.Errorf("%s: key %q gets %d %s, want %d", what, key, g.status, g.body, status)
			}
		}
	}
	expect("at first", map[string]int{"old": 404, "new": 401, "in the settings": 404})
	day := 24 * time.Hour
	if _, err := db.AddKey(t.Context(), parties.Key{Party: "library", Scopes: old.Scopes, Digest: sha256.Sum256([]byte("new")), Created: now}, &day); err != nil {
		t.Fatal(err)
	}
	s.clock.Add(int64(time.Second))
	expect("both while they overlap", map[string]int{"old": 404, "new": 404})
	s.clock.Add(int64(day))
	expect("after the overlap", map[string]int{"old": 401, "new": 404})
	db.away.Store(true)
	s.clock.Add(int64(2 * time.Second))
	expect("the place of keys is away", map[string]int{"new": 404, "old": 401, "nobody's": 401})
	s.clock.Add(int64(time.Minute))
	expect("for more than a minute", map[string]int{"new": 503, "in the settings": 503})
	db.away.Store(false)
	expect("and back", map[string]int{"new": 404, "in the settings": 404})
	if err := db.RevokeKey(t.Context(), verifierKeyID("new"), s.now()); err != nil {
		t.Fatal(err)
	}
	s.clock.Add(int64(time.Second))
	expect("revoked", map[string]int{"new": 401})
}

func verifierKeyID(secret string) string { return parties.KeyID(sha256.Sum256([]byte(secret))) }

// TestUsage: verdicts are counted by day, party, policy and verdict, once also when the
// reply of the database is lost, the database is away, or the server is replaced.
func TestUsage(t *testing.T) {
	onBoth(t, func(t *testing.T, db *flaky) {
		s := newScene(t)
		s.usage = db
		s.service = s.serve(t, verifier.APIKey{Name: "library", Digest: sha256.Sum256([]byte(apiKey))},
			verifier.APIKey{Name: "shop", Digest: sha256.Sum256([]byte("shop"))})
		for range 2 {
			s.respond(t, s.create(t, object{"policy": "card"}).Link)
		}
		db.lost.Store(true)
		if err := s.service.Flush(t.Context()); err == nil {
			t.Fatal("the reply was not lost")
		}
		if g := s.call(t, "POST", "/verify", "text/plain", []byte("hello"), "Authorization", "Bearer shop"); g.status != 200 {
			t.Fatalf("%d %s", g.status, g.body)
		}
		if err := s.service.Flush(t.Context()); err == nil { // the first batch once more
			t.Fatal("the reply was not lost")
		}
		db.lost.Store(false)
		db.away.Store(true)
		s.respond(t, s.create(t, object{"policy": "open"}).Link)
		if err := s.service.Flush(t.Context()); err == nil {
			t.Fatal("the database was not away")
		}
		db.away.Store(false)
		day := now.Format(time.DateOnly)
		want := verifier.UsageReport{From: now.AddDate(0, 0, -29).Format(time.DateOnly), To: day, Rows: []parties.Count{
			{Day: day, Party: "library", Kind: "request", Subject: "card", Verdict: "valid", N: 2},
			{Day: day, Party: "library", Kind: "request", Subject: "open", Verdict: "check_needed", N: 1},
		}}
		g := s.relying(t, "GET", "/usage", nil)
		if got := decode[verifier.UsageReport](t, g.body); !reflect.DeepEqual(got, want) {
			t.Errorf("%d %s, want %+v", g.status, g.body, want)
		}
		// The next server, after this one has stored the rest.
		s.service = s.serve(t, verifier.APIKey{Name: "shop", Digest: sha256.Sum256([]byte("shop"))})
		g = s.as(t, "shop", "GET", "/usage?from="+day+"&to="+day+"&format=csv", nil)
		if string(g.body) != "day,party,kind,subject,verdict,count\n"+day+",shop,proof,,undetermined,1\n" || g.header.Get("Content-Type") != "text/csv; charset=utf-8" {
			t.Errorf("%d %s", g.status, g.body)
		}
		for _, q := range []string{"?from=x", "?from=2026-11-31", "?to=2026-1-1", "?from=2026-11-02&to=2026-11-01", "?from=2024-01-01&to=2026-01-01", "?format=xml", "?party=library"} {
			if g := s.as(t, "shop", "GET", "/usage"+q, nil); g.status != 400 || g.code() != "bad_request" {
				t.Errorf("%s: %d %s", q, g.status, g.body)
			}
		}
		all, err := db.Usage(t.Context(), day, day, nil)
		if err != nil || len(all) != 3 {
			t.Errorf("all parties: %v, %v", all, err)
		}
	})
	s := newScene(t)
	if g := s.relying(t, "GET", "/usage", nil); g.status != http.StatusNotFound || g.code() != "not_kept" {
		t.Errorf("without a place: %d %s", g.status, g.body)
	}
}

var _ interface {
	verifier.KeyStore
	verifier.UsageStore
} = (*parties.DB)(nil)
