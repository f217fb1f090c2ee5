package verifier_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/store/parties"
)

// The ids and digests of the fixtures.
var (
	tallyOne, tallyTwo = strings.Repeat("A", 22), strings.Repeat("B", 21) + "A"
	seenOne, seenTwo   = strings.Repeat("C", 42) + "A", strings.Repeat("D", 42) + "A"
)

func newTally(id, counter string) object {
	return object{
		"id": id, "counter": counter, "day": now.Format(time.DateOnly),
		"scans": []any{object{"type": farmer, "verdict": "valid", "hour": 9, "count": 5}, object{"type": "", "verdict": "undetermined", "hour": 23, "count": 1}},
		"once":  []any{object{"hash": seenOne, "at": "10:14"}},
	}
}

// newCounters is a server with a key for uploads and one for figures.
func newCounters(t *testing.T, db *flaky) *scene {
	t.Helper()
	s := newScene(t)
	s.keyring, s.usage, s.tallies = db, db, db
	addKey(t, db, parties.Key{Party: "bank", Scopes: []parties.Scope{parties.Tallies}}, "upload")
	addKey(t, db, parties.Key{Party: "bank", Scopes: []parties.Scope{parties.Usage}}, "figures")
	addKey(t, db, parties.Key{Party: "shop", Scopes: []parties.Scope{parties.Tallies, parties.Usage}}, "shop")
	s.service = s.serve(t)
	return s
}

func encoded(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (s *scene) upload(t *testing.T, key string, body any, header ...string) got {
	t.Helper()
	return s.call(t, "POST", "/tallies", web.MediaJSON, encoded(t, body), append([]string{"Authorization", "Bearer " + key}, header...)...)
}

// TestTallies: what counters did is kept once however often it is sent, conflicts come
// back, and both are to be read; after its days only counts are left.
func TestTallies(t *testing.T) {
	onBoth(t, func(t *testing.T, db *flaky) {
		s := newCounters(t, db)
		expect := func(g got, want string) {
			t.Helper()
			if g.status != http.StatusOK || string(g.body) != want {
				t.Errorf("%d %s, want %s", g.status, g.body, want)
			}
		}
		none := `{"conflicts":[]}`
		expect(s.upload(t, "upload", newTally(tallyOne, "bank-1")), none)
		expect(s.upload(t, "upload", newTally(tallyOne, "bank-1")), none) // the answer was lost
		expect(s.upload(t, "shop", newTally(tallyOne, "shop")), none)     // another party
		second := newTally(tallyTwo, "bank-2")
		second["once"] = []any{object{"hash": seenTwo, "at": "08:00"}, object{"hash": seenOne, "at": "12:30"}, object{"hash": seenOne, "at": "12:29"}}
		expect(s.upload(t, "upload", second), `{"conflicts":[{"hash":"`+seenOne+`","at":"10:14","counter":"bank-1"}]}`)
		expect(s.upload(t, "upload", newTally(tallyOne, "bank-1")), `{"conflicts":[{"hash":"`+seenOne+`","at":"12:29","counter":"bank-2"}]}`)

		day := now.Format(time.DateOnly)
		figures := func(key string) []parties.Count {
			t.Helper()
			return decode[verifier.UsageReport](t, s.as(t, key, "GET", "/usage?from="+day+"&to="+day, nil).body).Rows
		}
		want := []parties.Count{
			{Day: day, Party: "bank", Kind: "offline", Verdict: "undetermined", N: 2},
			{Day: day, Party: "bank", Kind: "offline", Subject: farmer, Verdict: "valid", N: 10},
		}
		if got := figures("figures"); !reflect.DeepEqual(got, want) {
			t.Errorf("figures %v, want %v", got, want)
		}
		expect(s.as(t, "figures", "GET", "/tallies/conflicts?day="+day+"&format=csv", nil), "day,party,hash,at,counter\n"+
			day+",bank,"+seenOne+",10:14,bank-1\n"+day+",bank,"+seenOne+",12:29,bank-2\n")
		expect(s.as(t, "shop", "GET", "/tallies/conflicts?day="+day, nil), `{"day":"`+day+`","conflicts":[]}`)
		s.clock.Add(int64((verifier.DefaultTallyDays + 3) * 24 * time.Hour))
		if err := s.service.Fold(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := figures("figures"); !reflect.DeepEqual(got, want) {
			t.Errorf("figures after the days %v, want %v", got, want)
		}
		expect(s.as(t, "figures", "GET", "/tallies/conflicts?day="+day, nil), `{"day":"`+day+`","conflicts":[]}`)
		if g := s.upload(t, "upload", newTally(tallyOne, "bank-1")); g.status != http.StatusGone || g.code() != "too_old" {
			t.Errorf("what was counted for good is sent again: %d %s", g.status, g.body)
		}
	})
}

// TestTallyRefused is the table of refusals for uploads: each row spoils one thing, and
// leaves what was there.
func TestTallyRefused(t *testing.T) {
	s := newCounters(t, newParties(t, filepath.Join(t.TempDir(), "parties.db")))
	if g := s.upload(t, "upload", newTally(tallyOne, "bank-1")); g.status != http.StatusOK {
		t.Fatalf("%d %s", g.status, g.body)
	}
	set := func(name string, v any) func(object) { return func(o object) { o[name] = v } }
	scan := func(name string, v any) func(object) {
		return func(o object) { o["scans"].([]any)[0].(object)[name] = v }
	}
	once := func(name string, v any) func(object) {
		return func(o object) { o["once"].([]any)[0].(object)[name] = v }
	}
	many := func(n int) (list []any) {
		for i := range n {
			list = append(list, object{"hash": fmt.Sprintf("%042d", i) + "A", "at": "10:00"})
		}
		return list
	}
	for _, tt := range []struct {
		name   string
		spoil  func(object)
		status int
		code   string
	}{
		{"an unknown member", set("person", "x"), 400, "bad_tally"},
		{"no counter", func(o object) { delete(o, "counter") }, 400, "bad_tally"},
		{"no lists", func(o object) { delete(o, "once") }, 400, "bad_tally"},
		{"a short id", set("id", strings.Repeat("A", 21)), 400, "bad_tally"},
		{"an id with stray bits", set("id", strings.Repeat("A", 21)+"B"), 400, "bad_tally"},
		{"an id that is a number", set("id", 7), 400, "bad_tally"},
		{"a counter of two lines", set("counter", "a\nb"), 400, "bad_tally"},
		{"a long counter", set("counter", strings.Repeat("x", 201)), 400, "bad_tally"},
		{"a day that there is not", set("day", "2026-02-30"), 400, "bad_tally"},
		{"a moment in place of a day", set("day", now.Format(time.RFC3339)), 400, "bad_tally"},
		{"a day to come", set("day", now.AddDate(0, 0, 2).Format(time.DateOnly)), 400, "bad_tally"},
		{"a day long past", set("day", now.AddDate(0, 0, -32).Format(time.DateOnly)), 410, "too_old"},
		{"scans that are no list", set("scans", object{}), 400, "bad_tally"},
		{"null in place of a list", set("once", nil), 400, "bad_tally"},
		{"a scan of nobody", scan("count", 0), 400, "bad_tally"},
		{"less than nobody", scan("count", -5), 400, "bad_tally"},
		{"half a person", scan("count", 1.5), 400, "bad_tally"},
		{"very many", scan("count", 1_000_001), 400, "bad_tally"},
		{"an hour of no day", scan("hour", 24), 400, "bad_tally"},
		{"a verdict that there is not", scan("verdict", "genuine"), 400, "bad_tally"},
		{"a type with spaces", scan("type", "Rahima Begum"), 400, "bad_tally"},
		{"a member of a scan too many", scan("name", "x"), 400, "bad_tally"},
		{"a digest that is too short", once("hash", strings.Repeat("C", 42)), 400, "bad_tally"},
		{"a digest with stray bits", once("hash", strings.Repeat("C", 42)+"B"), 400, "bad_tally"},
		{"a name in place of a digest", once("hash", "Rahima"), 400, "bad_tally"},
		{"a time of no day", once("at", "24:00"), 400, "bad_tally"},
		{"a time in short", once("at", "9:05"), 400, "bad_tally"},
		{"very many digests", set("once", many(3_999)), 413, "too_large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body := newTally(tallyOne, "bank-1")
			tt.spoil(body)
			if tt.code == "too_large" {
				body["counter"] = strings.Repeat("x", 100)
			}
			g := s.upload(t, "upload", body)
			if g.status != tt.status || g.code() != tt.code {
				t.Errorf("%d %s, want %d %s", g.status, g.body, tt.status, tt.code)
			}
			if strings.Contains(string(g.body), "Rahima") {
				t.Errorf("the answer says what was sent: %s", g.body)
			}
		})
	}
	for name, text := range map[string]string{
		"a member twice": `{"id":"` + tallyOne + `","id":"` + tallyOne + `","counter":"","day":"2026-11-21","scans":[],"once":[]}`,
		"no JSON":        `{`, "a list": `[]`, "deep": strings.Repeat("[", 100) + strings.Repeat("]", 100),
	} {
		g := s.call(t, "POST", "/tallies", web.MediaJSON, []byte(text), "Authorization", "Bearer upload")
		if g.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, g.status, g.body)
		}
	}
	for _, tt := range []struct {
		name, key, code string
		status          int
	}{{"no key", "", "unauthorized", 401}, {"a key for figures", "figures", "scope", 403}} {
		if g := s.upload(t, tt.key, newTally(tallyTwo, "")); g.status != tt.status || g.code() != tt.code {
			t.Errorf("%s: %d %s", tt.name, g.status, g.body)
		}
	}
	for _, q := range []string{"", "?day=x", "?day=2026-11-21&x=1", "?day=2026-11-21&format=xml"} {
		if g := s.as(t, "figures", "GET", "/tallies/conflicts"+q, nil); g.status != http.StatusBadRequest {
			t.Errorf("conflicts%s: %d %s", q, g.status, g.body)
		}
	}
	rows := decode[verifier.UsageReport](t, s.as(t, "figures", "GET", "/usage", nil).body).Rows
	if len(rows) != 2 || rows[1].N != 5 {
		t.Errorf("what was refused has changed the figures: %v", rows)
	}
	// Nothing of an upload is in the log.
	for _, canary := range []string{tallyOne, seenOne, "bank-1"} {
		if strings.Contains(s.log.String(), canary) {
			t.Errorf("the log says %s", canary)
		}
	}
}

// TestTallyOrigins: pages of our own and of websites in the settings may upload, and no
// other page may, whatever its browser thinks.
func TestTallyOrigins(t *testing.T) {
	s := newCounters(t, newParties(t, filepath.Join(t.TempDir(), "parties.db")))
	for origin, want := range map[string]struct {
		status int
		read   string
	}{
		"":                              {200, ""},
		s.server.URL():                  {200, ""},
		"https://scanner.example":       {200, "https://scanner.example"},
		"https://evil.example":          {403, ""},
		"https://scanner.example.evil":  {403, ""},
		"http://scanner.example":        {403, ""},
		"null":                          {403, ""},
		"https://scanner.example:8443":  {403, ""},
		"https://evil.example/" + "x?y": {403, ""},
	} {
		var header []string
		if origin != "" {
			header = []string{"Origin", origin}
		}
		g := s.upload(t, "upload", newTally(tallyOne, "bank-1"), header...)
		if g.status != want.status || g.header.Get("Access-Control-Allow-Origin") != want.read || !strings.Contains(strings.Join(g.header.Values("Vary"), ","), "Origin") {
			t.Errorf("from %q: %d, readable for %q", origin, g.status, g.header.Get("Access-Control-Allow-Origin"))
		}
		if origin == "" {
			continue
		}
		g = s.call(t, "OPTIONS", "/tallies", "", nil, "Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type")
		if ok := g.status == http.StatusNoContent; ok != (want.read != "") || g.header.Get("Access-Control-Allow-Origin") != want.read {
			t.Errorf("a browser asks for %q: %d, %q", origin, g.status, g.header.Get("Access-Control-Allow-Origin"))
		}
		// What can be read with a key is for no page of another website.
		g = s.call(t, "GET", "/usage", "", nil, "Origin", origin, "Authorization", "Bearer figures")
		if g.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("figures may be read by scripts of %s", origin)
		}
	}
}

// TestTallyTypes: a type is whatever a certificate may have, in any script.
func TestTallyTypes(t *testing.T) {
	for _, kind := range []string{"", "urn:xa:farmer-card:1", "urn:xa:carte-d'élève:1", "urn:xa:কৃষক-কার্ড"} {
		body := newTally(tallyOne, "")
		body["scans"] = []any{object{"type": kind, "verdict": "valid", "hour": 9, "count": 5}}
		if y, err := verifier.ReadTally(encoded(t, body)); err != nil || y.Scans[0].Type != kind {
			t.Errorf("%q: %+v, %v", kind, y, err)
		}
	}
}

// FuzzTally: whatever a counter sends, it is refused or kept as what it says, and no
// request ends in an error of ours.
func FuzzTally(f *testing.F) {
	f.Add([]byte(`{"id":"AAAAAAAAAAAAAAAAAAAAAA","counter":"","day":"2026-11-21","scans":[{"type":"a","verdict":"valid","hour":1,"count":2}],"once":[]}`))
	f.Add([]byte(`{"id":1}`))
	boundtest.Fuzz(f, func(t *testing.T, b []byte) {
		y, err := verifier.ReadTally(b)
		if err != nil {
			return
		}
		again, err := verifier.ReadTally(encodeTally(t, y))
		if err != nil || !reflect.DeepEqual(y, again) {
			t.Fatalf("%+v is read as %+v, %v", y, again, err)
		}
		for _, s := range y.Scans {
			if s.N < 1 || s.Hour < 0 || s.Hour > 23 || strings.ContainsAny(s.Type, " \x00\n") {
				t.Fatalf("taken: %+v", s)
			}
		}
	})
}

func encodeTally(t *testing.T, y *parties.Tally) []byte {
	body := object{"id": y.ID, "counter": y.Counter, "day": y.Day}
	scans, once := []any{}, []any{}
	for _, s := range y.Scans {
		scans = append(scans, object{"type": s.Type, "verdict": s.Verdict, "hour": s.Hour, "count": s.N})
	}
	for _, o := range y.Once {
		once = append(once, object{"hash": o.Hash, "at": o.At})
	}
	body["scans"], body["once"] = scans, once
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(body); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var _ verifier.TallyStore = (*parties.DB)(nil)
