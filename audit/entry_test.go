package audit_test

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/internal/boundtest"
)

func TestMarshal(t *testing.T) {
	e := audit.Event{
		Time: time.Date(2026, 11, 21, 9, 30, 0, 123_999_999, time.FixedZone("", 6*3600)),
		Kind: audit.CredentialRevoked, Actor: "rahima", Programme: "birth-certificate/2", Credential: "01JD5AAAAAAAAAAAAAAAAAAAAA",
		Record: "00ff", Batch: "b-1", Key: "6d1f00c2a1b37e55", Digest: "ab12", Count: 2, Reason: "lost", Detail: `said "at home"`,
		Slots: []audit.SlotRef{{URI: "https://sanad.example/status/1", Index: 5}, {URI: "https://sanad.example/status/2", Index: 0}},
	}
	got, err := e.Marshal(41)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"n":41,"time":"2026-11-21T03:30:00.123Z","kind":"credential.revoked","actor":"rahima",` +
		`"programme":"birth-certificate/2","credential":"01JD5AAAAAAAAAAAAAAAAAAAAA","record":"00ff","batch":"b-1",` +
		`"key":"6d1f00c2a1b37e55","digest":"ab12","reason":"lost","detail":"said \"at home\"",` +
		`"slots":[{"list":"https://sanad.example/status/1","index":5},{"list":"https://sanad.example/status/2","index":0}],"count":2}`
	if string(got) != want {
		t.Errorf("Marshal:\n%s\nwant\n%s", got, want)
	}
	n, back, err := audit.ParseEntry(got)
	if err != nil {
		t.Fatal(err)
	}
	e.Time = e.Time.UTC().Truncate(time.Millisecond)
	if d := cmp.Diff(e, back); n != 41 || d != "" {
		t.Errorf("ParseEntry: number %d, difference %s", n, d)
	}
}

// intended is an entry with everything that a restore needs.
const intended = `{"n":7,"time":"2026-11-21T03:30:00.123Z","kind":"credential.intended","actor":"rahima","programme":"farmer-card",` +
	`"credential":"01JD5AAAAAAAAAAAAAAAAAAAAA","record":"00ff","batch":"b-1","key":"6d1f00c2a1b37e55","digest":"ab12",` +
	`"slots":[{"list":"https://sanad.example/status/1","index":5,"size":1048576,"form":"qr","digest":"cd34"}],` +
	`"version":2,"row":9,"expires":"2031-11-21T03:30:00.000Z","idempotency":"ef56"}`

func TestParseIntended(t *testing.T) {
	n, e, err := audit.ParseEntry([]byte(intended))
	if err != nil {
		t.Fatal(err)
	}
	want := audit.Event{
		Time: time.Date(2026, 11, 21, 3, 30, 0, 123e6, time.UTC), Kind: audit.CredentialIntended, Actor: "rahima", Programme: "farmer-card",
		Credential: "01JD5AAAAAAAAAAAAAAAAAAAAA", Record: "00ff", Batch: "b-1", Key: "6d1f00c2a1b37e55", Digest: "ab12",
		Slots:   []audit.SlotRef{{URI: "https://sanad.example/status/1", Index: 5, Size: 1 << 20, Form: "qr", Digest: "cd34"}},
		Version: 2, Row: 9, Expires: time.Date(2031, 11, 21, 3, 30, 0, 0, time.UTC), Idempotency: "ef56",
	}
	if d := cmp.Diff(want, e); n != 7 || d != "" {
		t.Errorf("ParseEntry: number %d, difference %s", n, d)
	}
	for _, tt := range []struct{ name, old, new string }{
		{"version zero", `"version":2`, `"version":0`},
		{"row zero", `"row":9`, `"row":0`},
		{"row before version", `"version":2,"row":9`, `"row":9,"version":2`},
		{"expires to the second", `00.000Z","idem`, `00Z","idem`},
		{"empty key", `"ef56"`, `""`},
		{"empty form", `"form":"qr"`, `"form":""`},
		{"size zero", `"size":1048576`, `"size":0`},
		{"form before size", `"size":1048576,"form":"qr"`, `"form":"qr","size":1048576`},
	} {
		spoiled := strings.Replace(intended, tt.old, tt.new, 1)
		if _, _, err := audit.ParseEntry([]byte(spoiled)); err == nil || spoiled == intended {
			t.Errorf("%s: ParseEntry took %s", tt.name, spoiled)
		}
	}
}

func TestMarshalRefuses(t *testing.T) {
	good := event(0)
	if _, err := good.Marshal(0); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		spoil func(*audit.Event)
		want  string
	}{
		{"no time", func(e *audit.Event) { e.Time = time.Time{} }, "time is not set"},
		{"the year 10000", func(e *audit.Event) { e.Time = e.Time.AddDate(8000, 0, 0) }, "time is out of range"},
		{"no kind", func(e *audit.Event) { e.Kind = "" }, "unknown kind"},
		{"unknown kind", func(e *audit.Event) { e.Kind = "credential.lost" }, "unknown kind"},
		{"nobody acted", func(e *audit.Event) { e.Actor = "" }, "actor is not set"},
		{"endless actor", func(e *audit.Event) { e.Actor = strings.Repeat("a", 129) }, "actor of 129 bytes"},
		{"actor not UTF-8", func(e *audit.Event) { e.Actor = "a\xff" }, "actor is not UTF-8"},
		{"blank in programme", func(e *audit.Event) { e.Programme = "birth certificate" }, "programme has a character"},
		{"line break in credential", func(e *audit.Event) { e.Credential = "01\n02" }, "credential has a character"},
		{"quote in batch", func(e *audit.Event) { e.Batch = `b"` }, "batch has a character"},
		{"beyond ASCII in key", func(e *audit.Event) { e.Key = "clé" }, "key has a character"},
		{"record in capitals", func(e *audit.Event) { e.Record = "AB" }, "record has a character"},
		{"record too long", func(e *audit.Event) { e.Record = strings.Repeat("a", 65) }, "record of 65 bytes"},
		{"reason is a sentence", func(e *audit.Event) { e.Reason = "lost it" }, "reason has a character"},
		{"endless detail", func(e *audit.Event) { e.Detail = strings.Repeat("a", 257) }, "detail of 257 bytes"},
		{"negative count", func(e *audit.Event) { e.Count = -1 }, "count is negative"},
		{"negative version", func(e *audit.Event) { e.Version = -1 }, "version or row is negative"},
		{"negative row", func(e *audit.Event) { e.Row = -1 }, "version or row is negative"},
		{"expires beyond four digits", func(e *audit.Event) { e.Expires = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, "expires is out of range"},
		{"idempotency key in clear", func(e *audit.Event) { e.Idempotency = "order 17" }, "idempotency has a character"},
		{"form with a blank", func(e *audit.Event) { e.Slots = []audit.SlotRef{{URI: "a", Form: "a b"}} }, "form has a character"},
		{"digest of a slot too long", func(e *audit.Event) {
			e.Slots = []audit.SlotRef{{URI: "a", Digest: strings.Repeat("a", 65)}}
		}, "digest of a slot of 65 bytes"},
		{"17 slots", func(e *audit.Event) { e.Slots = make([]audit.SlotRef, 17) }, "17 slots"},
		{"slot without list", func(e *audit.Event) { e.Slots = []audit.SlotRef{{}} }, "a slot without its list"},
		{"slot with a blank", func(e *audit.Event) { e.Slots = []audit.SlotRef{{URI: "a b"}} }, "list has a character"},
		{"entry too long", func(e *audit.Event) {
			e.Slots = nil
			for range 16 {
				e.Slots = append(e.Slots, audit.SlotRef{URI: "https://" + strings.Repeat("a", 500), Index: math.MaxUint64})
			}
		}, "entry of"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := event(0)
			tt.spoil(&e)
			b, err := e.Marshal(0)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Marshal: %s, %v, want an error with %q", b, err, tt.want)
			}
			if _, err := audit.Append(&memory{}, []audit.Event{e}); err == nil {
				t.Error("Append took it")
			}
		})
	}
}

// TestAUD04 puts what could forge a second entry into the fields that take text.
func TestAUD04(t *testing.T) {
	texts := []string{
		"a\nb", "a\r\nb", "a\x00b", "\x1b[2J", `","kind":"credential.signed`, `"}` + "\n" + `{"n":1}`,
		"a\u0085b", "a\u2028b", "\u202egnp.exe", "\u200b", "\u061c", "\ufeff", `\`, `\u000a`, "ঢাকা", "\U0001f600",
	}
	for _, text := range texts {
		t.Run("AUD-04", func(t *testing.T) {
			e := event(0)
			e.Actor, e.Detail = text, text
			line, err := e.Marshal(3)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range string(line) {
				if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' {
					t.Errorf("%q contains %U", line, r)
				}
			}
			var m map[string]any
			if err := json.Unmarshal(line, &m); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if m["actor"] != text || m["detail"] != text || m["kind"] != "credential.intended" {
				t.Errorf("%s does not say what went in", line)
			}
		})
	}
}

// TestAUD05 holds the list of an event's fields: who adds one answers here for
// what may stand in it.
func TestAUD05(t *testing.T) {
	t.Run("AUD-05 no field for secrets or claims", func(t *testing.T) {
		want := "Time Kind Actor Programme Credential Batch Key Record Slots Digest Count Version Row Expires Idempotency Reason Detail"
		var got []string
		for f := range reflect.TypeFor[audit.Event]().Fields() {
			got = append(got, f.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("Event has the fields %q, want %q", got, want)
		}
	})
	t.Run("AUD-05 a record is a pseudonym", func(t *testing.T) {
		for _, id := range []string{"Rahima Begum", "1987-03-02", "BR/1987/000123", "rahima"} {
			e := event(0)
			e.Record = id
			_, err := e.Marshal(0)
			if err == nil {
				t.Errorf("record %q was taken", id)
			} else if strings.Contains(err.Error(), id) {
				t.Errorf("%v quotes the record", err)
			}
		}
	})
	t.Run("AUD-05 a credential does not fit", func(t *testing.T) {
		for f := range reflect.TypeFor[audit.Event]().Fields() {
			if f.Type.Kind() != reflect.String {
				continue
			}
			e := event(0)
			reflect.ValueOf(&e).Elem().FieldByName(f.Name).SetString(strings.Repeat("a", 600))
			if _, err := e.Marshal(0); err == nil {
				t.Errorf("%s took 600 characters", f.Name)
			}
		}
	})
}

func TestParseEntryRefuses(t *testing.T) {
	e := event(3)
	line, err := e.Marshal(3)
	if err != nil {
		t.Fatal(err)
	}
	good := string(line)
	if _, _, err := audit.ParseEntry([]byte(good)); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, old, new string }{
		{"a blank", `"kind":`, `"kind": `},
		{"a member that is not known", `,"reason"`, `,"name":"x","reason"`},
		{"a member twice", `,"reason":"lost"`, `,"reason":"lost","reason":"lost"`},
		{"members in another order", `"actor":"rahima","programme":"birth-certificate"`, `"programme":"birth-certificate","actor":"rahima"`},
		{"an empty member", `"reason":"lost"`, `"reason":""`},
		{"leading zero", `{"n":3`, `{"n":03`},
		{"negative number", `{"n":3`, `{"n":-3`},
		{"number too large", `{"n":3`, `{"n":9223372036854775808`},
		{"another time form", `.750Z`, `.75Z`},
		{"a time zone", `Z","kind"`, `+00:00","kind"`},
		{"an escape that was not needed", `"reason":"lost"`, `"reason":"l\u006fst"`},
		{"a raw control character", `counter`, "coun\x01ter"},
		{"another escape for it", `counter`, `coun\nter`},
		{"escape in capitals", `counter`, `coun\u000Ater`},
		{"half an escape", `"lost"`, `"lost\u00`},
		{"a surrogate", `counter`, `\ud800counter`},
		{"index too large", `"index":`, `"index":9999999999999999999`},
		{"no index", `"index":`, `"index":"1",`},
		{"slots empty", `"slots":[{`, `"slots":[],"x":[{`},
		{"zero count", `}]`, `}],"count":0`},
		{"text behind it", `]}`, `]} `},
		{"another entry behind it", `]}`, `]}{"n":4}`},
		{"cut short", `]}`, `]`},
		{"unknown kind", `credential.revoked`, `credential.forgiven`},
		{"nothing", good, ``},
		{"not UTF-8", `counter`, "coun\xffter"},
		{"too long", `counter`, strings.Repeat("a", 8200)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			spoiled := strings.Replace(good, tt.old, tt.new, 1)
			if spoiled == good {
				t.Fatalf("nothing to spoil: %s", good)
			}
			if n, e, err := audit.ParseEntry([]byte(spoiled)); err == nil {
				t.Errorf("ParseEntry took %s as %d, %+v", spoiled, n, e)
			}
		})
	}
}

func TestEntriesSurvive(t *testing.T) {
	text := rapid.StringN(0, 30, 60)
	id := rapid.StringMatching(`[a-zA-Z0-9:/.+-]{0,40}`)
	rapid.Check(t, func(t *rapid.T) {
		e := audit.Event{
			Time: start.Add(time.Duration(rapid.Int64Range(0, 1e18).Draw(t, "time"))).Truncate(time.Millisecond),
			Kind: rapid.SampledFrom(audit.Kinds()).Draw(t, "kind"), Actor: "a" + text.Draw(t, "actor"),
			Programme: id.Draw(t, "programme"), Credential: id.Draw(t, "credential"), Batch: id.Draw(t, "batch"),
			Record: rapid.StringMatching(`[0-9a-f]{0,64}`).Draw(t, "record"), Key: id.Draw(t, "key"), Digest: id.Draw(t, "digest"),
			Reason: rapid.StringMatching(`[a-z0-9_.-]{0,20}`).Draw(t, "reason"), Detail: text.Draw(t, "detail"),
			Count: rapid.IntRange(0, math.MaxInt).Draw(t, "count"), Version: rapid.IntRange(0, math.MaxInt).Draw(t, "version"),
			Row: rapid.Int64Range(0, math.MaxInt64).Draw(t, "row"), Idempotency: rapid.StringMatching(`[0-9a-f]{0,64}`).Draw(t, "idempotency"),
		}
		if rapid.Bool().Draw(t, "expires") {
			e.Expires = start.Add(time.Duration(rapid.Int64Range(0, 1e18).Draw(t, "expiry"))).Truncate(time.Millisecond)
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "slots") {
			e.Slots = append(e.Slots, audit.SlotRef{
				URI: "u" + id.Draw(t, "uri"), Index: rapid.Uint64().Draw(t, "index") + uint64(i), Size: rapid.Uint64().Draw(t, "size"),
				Form: id.Draw(t, "form"), Digest: rapid.StringMatching(`[0-9a-f]{0,64}`).Draw(t, "slot digest"),
			})
		}
		n := rapid.Int64Range(0, math.MaxInt64).Draw(t, "n")
		line, err := e.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		got, back, err := audit.ParseEntry(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if d := cmp.Diff(e, back); got != n || d != "" {
			t.Fatalf("%s: number %d, %s", line, got, d)
		}
	})
}

func FuzzParseEntry(f *testing.F) {
	for i := range 8 {
		e := event(i)
		line, err := e.Marshal(int64(i))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(line)
	}
	f.Add([]byte(intended))
	boundtest.Fuzz(f, func(t *testing.T, line []byte) {
		n, e, err := audit.ParseEntry(line)
		if err != nil {
			return
		}
		again, err := e.Marshal(n)
		if err != nil || !bytes.Equal(again, line) {
			t.Fatalf("read %q, wrote %q, %v", line, again, err)
		}
		if bytes.ContainsAny(line, "\n\r\x00\x1b") {
			t.Fatalf("%q breaks the line", line)
		}
	})
}
