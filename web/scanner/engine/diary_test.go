package engine_test

import (
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/verification"
	"github.com/sanad-id/sanad/web/scanner/engine"
)

// upload is the wire form, written out again from the contract.
type upload struct {
	ID      string `json:"id"`
	Counter string `json:"counter"`
	Day     string `json:"day"`
	Scans   []struct {
		Type, Verdict string
		Hour, Count   int
	} `json:"scans"`
	Once []struct{ Hash, At string } `json:"once"`
}

func pending(t *testing.T, e *engine.Engine) []upload {
	t.Helper()
	all := []upload{}
	for _, p := range e.Pending() {
		var u upload
		d := json.NewDecoder(strings.NewReader(p.Body))
		d.DisallowUnknownFields()
		if err := d.Decode(&u); err != nil || u.ID != p.ID || len(p.Body) > 256<<10 {
			t.Fatalf("%d bytes, %v: %.200s", len(p.Body), err, p.Body)
		}
		all = append(all, u)
	}
	return all
}

// TestDiary is the day of a counter: counts, entitlements, an upload with an answer, a
// new start, midnight.
func TestDiary(t *testing.T) {
	o := newOffice(t)
	o.Zone(time.FixedZone("here", 5*3600+1800)) // half past three in the afternoon
	o.Uploads(true)
	o.set(t, engine.Counter{Verifier: bank, Once: engine.NewOnceKey()})
	if o.judge(t, o.card(t, 5, nil)).Report.Verdict != verification.Valid {
		t.Fatal("the first card")
	}
	o.judge(t, o.card(t, 6, nil))
	o.now = o.now.Add(time.Minute)
	again := o.judge(t, o.card(t, 5, nil))
	if again.Report.Verdict != verification.CheckNeeded || again.Page.Why[0].Code != credential.AlreadySeen || again.Page.Notes[0] != "Already seen at 15:30 today." {
		t.Errorf("the card again: %s, %v, %q", again.Report.Verdict, again.Page.Why, again.Page.Notes)
	}
	o.judge(t, []byte("hello"))

	sent := pending(t, o.Engine)
	if len(sent) != 1 || sent[0].Counter != bank || sent[0].Day != "2026-11-13" || len(sent[0].ID) != 22 || len(sent[0].Scans) != 3 || len(sent[0].Once) != 2 {
		t.Fatalf("to send: %+v", sent)
	}
	for _, s := range sent[0].Scans {
		want := map[string]int{licence + " valid": 2, licence + " check_needed": 1, " undetermined": 1}
		if s.Hour != 15 || s.Count != want[s.Type+" "+s.Verdict] {
			t.Errorf("counted %+v", s)
		}
	}
	if b, err := base64.RawURLEncoding.DecodeString(sent[0].Once[0].Hash); err != nil || len(b) != 32 || sent[0].Once[0].At != "15:30" {
		t.Errorf("remembered %+v", sent[0].Once[0])
	}

	// The page is closed and opened: all is there, the card is known.
	kept := must[[]byte](t)(o.Engine.Diary())
	if strings.Contains(string(kept), "Baker") || strings.Contains(string(kept), list) {
		t.Errorf("the diary names somebody: %s", kept)
	}
	if err := o.RestoreDiary(kept); err != nil {
		t.Fatal(err)
	}
	if got := o.judge(t, o.card(t, 6, nil)); got.Page.Why[0].Code != credential.AlreadySeen {
		t.Errorf("after a new start: %v", got.Page.Why)
	}

	// The server knows of another counter.
	first := o.Pending()[0]
	hash := sent[0].Once[0].Hash
	stranger := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	answer := fmt.Sprintf(`{"conflicts":[{"hash":%q,"at":"09:05","counter":"shop"},{"hash":%q,"at":"09:05","counter":"shop"},{"hash":%q,"at":"soon","counter":"shop"}]}`, hash, stranger, hash)
	for range 2 {
		if err := o.Uploaded(first.ID, first.Weight, []byte(answer)); err != nil {
			t.Fatal(err)
		}
	}
	if left := o.Pending(); len(left) != 0 {
		t.Errorf("sent, and still to send: %+v", left)
	}
	tally := o.Tally(en)
	if len(tally.Days) != 1 || len(tally.Days[0].Rows) != 2 || !slices.Equal(tally.Days[0].Total, []string{"2", "2", "1", "0"}) {
		t.Errorf("tally: %+v", tally)
	}
	if notes := tally.Days[0].Notes; !slices.Equal(notes, []string{"Entitlements counted: 2", "Sent.", "Used twice: here at 15:30, and at Shop at 09:05."}) {
		t.Errorf("notes: %q", notes)
	}
	rows := must[[][]string](t)(csv.NewReader(strings.NewReader(tally.CSV)).ReadAll())
	if len(rows) != 4 || !slices.Equal(rows[0], []string{"day", "counter", "hour", "type", "verdict", "count"}) || !slices.Contains(rows[1:][0], "15") {
		t.Errorf("table: %q", rows)
	}
	if err := o.Uploaded(first.ID, first.Weight, []byte("no JSON")); err == nil {
		t.Error("an answer that is none was taken")
	}

	// One more counts, and the same id is sent again.
	o.judge(t, o.card(t, 7, nil))
	if more := o.Pending(); len(more) != 1 || more[0].ID != first.ID || more[0].Weight <= first.Weight {
		t.Errorf("more to send: %+v", more)
	}

	// Midnight: nobody is known any more, and what waits for the server is kept for it.
	o.now = o.now.Add(9 * time.Hour)
	if got := o.judge(t, o.card(t, 5, nil)); got.Report.Verdict != verification.Valid {
		t.Errorf("the next day: %v", got.Page.Why)
	}
	if days := pending(t, o.Engine); len(days) != 2 || len(days[0].Once) != 3 || days[1].Day != "2026-11-14" || days[0].ID == days[1].ID || days[0].Once[0].Hash == days[1].Once[0].Hash {
		t.Errorf("two days: %+v", days)
	}
	for _, p := range o.Pending() {
		if err := o.Uploaded(p.ID, p.Weight, []byte(`{"conflicts":[]}`)); err != nil {
			t.Fatal(err)
		}
	}
	o.Tally(en)
	if strings.Contains(string(must[[]byte](t)(o.Engine.Diary())), hash+`","at":"15:30"},`) {
		t.Error("a hash of yesterday is kept, and nobody waits for it")
	}
	o.ClearDiary()
	if got := o.judge(t, o.card(t, 5, nil)); got.Report.Verdict != verification.Valid {
		t.Errorf("after clearing: %v", got.Page.Why)
	}
}

// TestDiaryForgets: without a server hashes end with their day, counts after some days.
func TestDiaryForgets(t *testing.T) {
	o := newOffice(t)
	o.set(t, engine.Counter{Once: engine.NewOnceKey()})
	o.judge(t, o.card(t, 5, nil))
	o.now = o.now.AddDate(0, 0, 1)
	o.judge(t, o.card(t, 6, nil))
	if kept := string(must[[]byte](t)(o.Engine.Diary())); strings.Count(kept, `"hash"`) != 1 || strings.Count(kept, `"count"`) != 2 {
		t.Errorf("kept: %s", kept)
	}
	o.now = o.now.AddDate(0, 0, 8)
	if days := o.Tally(en).Days; len(days) != 0 {
		t.Errorf("after a week: %+v", days)
	}
}

// TestDiaryFills: whatever is scanned, an upload stays below its limit, and nothing is
// counted for another.
func TestDiaryFills(t *testing.T) {
	o := newOffice(t)
	o.Uploads(true)
	o.set(t, engine.Counter{Verifier: strings.Repeat("é", 90), Once: engine.NewOnceKey()})
	const many = 1600
	var used []map[string]string
	for i := range many {
		used = append(used, map[string]string{"hash": base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%032d", i)), "at": "10:14"})
	}
	var scans []map[string]any
	for i := range 8 {
		for hour := range 24 {
			for _, v := range verification.Verdicts() {
				scans = append(scans, map[string]any{"type": fmt.Sprintf("urn:%0116d", i), "verdict": v, "hour": hour, "count": 1 << 30})
			}
		}
	}
	stored := must[[]byte](t)(json.Marshal(map[string]any{"days": []any{map[string]any{
		"day": "2026-11-13", "counter": strings.Repeat("é", 90), "ids": []string{"aaaaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbbbb"}, "scans": scans, "once": used,
	}}}))
	if err := o.RestoreDiary(stored); err != nil {
		t.Fatal(err)
	}
	o.judge(t, o.card(t, 5, nil))
	parts := pending(t, o.Engine) // which looks at the size of each
	if len(parts) != 2 || len(parts[0].Once)+len(parts[1].Once) != many+1 || len(parts[1].Scans) != 0 {
		t.Errorf("%d parts", len(parts))
	}
	if last := parts[0].Scans[len(parts[0].Scans)-1]; last.Type != "" || last.Count != 1 {
		t.Errorf("a type more: %+v", last)
	}
}

// TestRestoreDiaryRefuses: what was changed in the browser's storage is not taken, and
// what is counted goes on.
func TestRestoreDiaryRefuses(t *testing.T) {
	hash := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	good := `{"days":[{"day":"2026-11-13","counter":"","ids":["a"],"scans":[],"once":[{"hash":"` + hash + `","at":"10:14"}]}]}`
	o := newOffice(t)
	if err := o.RestoreDiary([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, old, new string }{
		{"not JSON", `{"days"`, `"days"`},
		{"no day", `[{"day"`, `[null,{"day"`},
		{"a day that is none", "2026-11-13", "2026-11-31"},
		{"no id", `["a"]`, `[]`},
		{"too many parts", `["a"]`, `["a"` + strings.Repeat(`,"a"`, 40) + `]`},
		{"half a hash", hash, hash[:20]},
		{"a hash that is none", hash, strings.Repeat("!", 43)},
		{"a time that is none", "10:14", "25:14"},
		{"a time written otherwise", "10:14", "9:14"},
		{"something else in a number's place", `"scans":[]`, `"scans":[{"count":"1"}]`},
	} {
		if err := o.RestoreDiary([]byte(strings.Replace(good, tt.old, tt.new, 1))); !errors.Is(err, engine.ErrDiary) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if err := o.RestoreDiary(make([]byte, 17<<20)); !errors.Is(err, engine.ErrDiary) {
		t.Errorf("too large: %v", err)
	}
	if kept := string(must[[]byte](t)(o.Engine.Diary())); !strings.Contains(kept, hash) {
		t.Errorf("the diary that was there is gone: %s", kept)
	}
	if err := o.RestoreDiary(nil); err != nil || len(o.Tally(i18n.For("ar")).Days) != 0 {
		t.Errorf("nothing was stored: %v", err)
	}
}

func FuzzRestoreDiary(f *testing.F) {
	f.Add([]byte(`{"days":[{"day":"2026-11-13","counter":"","ids":["a"],"scans":[{"type":"","verdict":"valid","hour":3,"count":1}],"once":[]}]}`))
	boundtest.Fuzz(f, func(t *testing.T, b []byte) {
		e := engine.New(func() time.Time { return asOf })
		if e.RestoreDiary(b) != nil {
			return
		}
		e.Tally(en)
		e.Pending()
		kept, err := e.Diary()
		if err != nil {
			t.Fatal(err)
		}
		if err := e.RestoreDiary(kept); err != nil {
			t.Errorf("what was written is not read: %v\n%s", err, kept)
		}
	})
}
