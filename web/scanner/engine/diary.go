package engine

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/internal/safecsv"
	"github.com/sanad-id/sanad/internal/visible"
	"github.com/sanad-id/sanad/verification"
)

// Limits of a diary, which hold an upload below 256 kB whatever was scanned.
const (
	// keepDays is how many days are kept.
	keepDays = 7
	// maxTypes is how many types are counted apart on one day; the others are counted
	// without their type, and so are types with long names.
	maxTypes    = 8
	maxTypeName = 120
	// partSize is how many entitlements one upload holds; a day may have several.
	partSize = 1500
	// maxParts bounds the entitlements of a day.
	maxParts = 40
	// maxDiary is the largest diary that is read, in bytes.
	maxDiary = 16 << 20
)

// A Scan is how often a type got a verdict in an hour of the day.
type Scan struct {
	// Type is empty for what is no credential that we can read.
	Type    string               `json:"type"`
	Verdict verification.Verdict `json:"verdict"`
	Hour    int                  `json:"hour"`
	Count   int                  `json:"count"`
}

// A Used is an entitlement that was accepted: its [verification.OnceHash] in base64url,
// and when, as 10:14 on the clock of the counter.
type Used struct {
	Hash string `json:"hash"`
	At   string `json:"at"`
}

// A Conflict is an entitlement that was accepted at another counter, too.
type Conflict struct {
	Hash    string `json:"hash"`
	At      string `json:"at"`
	Counter string `json:"counter"`
	// Here is when it was accepted here. A server does not say that.
	Here string `json:"here,omitempty"`
}

// An Upload is what a server gets of one day of one counter, in the form of POST /tallies.
// Nothing in it says who was there. A later one with the same id takes its place.
type Upload struct {
	ID      string `json:"id"`
	Counter string `json:"counter"`
	Day     string `json:"day"`
	Scans   []Scan `json:"scans"`
	Once    []Used `json:"once"`
}

// A day is what a diary has of one day.
type day struct {
	Day     string `json:"day"`
	Counter string `json:"counter"`
	// IDs are those of its uploads, one for each part.
	IDs       []string   `json:"ids"`
	Scans     []Scan     `json:"scans"`
	Once      []Used     `json:"once"`
	Conflicts []Conflict `json:"conflicts,omitempty"`
	// Sent is what the server has of each part: how much was counted in it then.
	Sent map[string]int `json:"sent,omitempty"`
}

// part is one upload of a day: the counts are in the first.
func (d *day) part(i int) Upload {
	u := Upload{ID: d.IDs[i], Counter: d.Counter, Day: d.Day, Scans: []Scan{}, Once: d.Once[min(len(d.Once), i*partSize):min(len(d.Once), (i+1)*partSize)]}
	if i == 0 {
		u.Scans = append(u.Scans, d.Scans...)
	}
	u.Once = append([]Used{}, u.Once...)
	return u
}

// weight is how much was counted in an upload. It only grows, so that one that weighs
// what the server has is the same.
func (u Upload) weight() int {
	n := len(u.Once)
	for _, s := range u.Scans {
		n += s.Count
	}
	return n
}

// sent reports whether the server has all of the day.
func (d *day) sent() bool {
	for i := range d.IDs {
		if u := d.part(i); d.Sent[u.ID] < u.weight() {
			return false
		}
	}
	return true
}

// A diary is the days of a page, the oldest first.
type diary struct {
	Days []*day `json:"days"`
}

// isClock reports whether text is a time of day as in 10:14.
func isClock(text string) bool {
	_, err := time.Parse("15:04", text)
	return err == nil && len(text) == 5
}

// isHash reports whether text is a SHA-256 in base64url.
func isHash(text string) bool {
	b, err := base64.RawURLEncoding.DecodeString(text)
	return err == nil && len(b) == sha256.Size
}

// check refuses a stored day that none of ours could be.
func (d *day) check() bool {
	if d == nil || len(d.IDs) == 0 || len(d.IDs) > maxParts || len(d.Once) > partSize*len(d.IDs) {
		return false
	}
	for _, u := range d.Once {
		if !isHash(u.Hash) || !isClock(u.At) {
			return false
		}
	}
	_, err := time.Parse(time.DateOnly, d.Day)
	return err == nil
}

// ErrDiary: what was stored is not a diary.
var ErrDiary = errors.New("engine: the stored counts cannot be read")

// RestoreDiary takes back what [Engine.Diary] gave; nothing is an empty diary. On an error
// the diary is the one that it was.
func (e *Engine) RestoreDiary(stored []byte) error {
	var d diary
	if len(stored) > maxDiary {
		return ErrDiary
	}
	if len(stored) > 0 {
		if err := json.Unmarshal(stored, &d); err != nil {
			return fmt.Errorf("%w: %v", ErrDiary, err)
		}
	}
	if slices.ContainsFunc(d.Days, func(d *day) bool { return !d.check() }) {
		return ErrDiary
	}
	e.diary, e.used = d, nil
	return nil
}

// Diary is what the page stores of the days: counts, and salted hashes of what counts once.
func (e *Engine) Diary() ([]byte, error) { return json.Marshal(e.diary) }

// Uploads tells whether there is a server that takes what was counted. Hashes of a day
// that is over are only kept for it.
func (e *Engine) Uploads(yes bool) { e.uploads = yes }

// ClearDiary forgets all days.
func (e *Engine) ClearDiary() { e.diary, e.used = diary{}, nil }

// local is now on the clock of the counter.
func (e *Engine) local() time.Time { return e.now().In(e.zone) }

// today is the day that is counted for this counter, begun if there is none. What is over
// is forgotten: hashes when nobody waits for them, counts after some days.
func (e *Engine) today() *day {
	now := e.local().Format(time.DateOnly)
	for _, d := range e.diary.Days {
		if d.Day == now && d.Counter == e.counter.Verifier {
			return d
		}
	}
	d := &day{Day: now, Counter: e.counter.Verifier, IDs: []string{newID()}, Scans: []Scan{}, Once: []Used{}}
	e.used = nil
	e.diary.Days = append(e.diary.Days, d)
	slices.SortStableFunc(e.diary.Days, func(a, b *day) int { return cmp.Compare(a.Day, b.Day) })
	e.tidy()
	return d
}

// tidy forgets what is over.
func (e *Engine) tidy() {
	now := e.local()
	oldest := now.AddDate(0, 0, -keepDays).Format(time.DateOnly)
	e.diary.Days = slices.DeleteFunc(e.diary.Days, func(d *day) bool { return d.Day < oldest })
	for _, d := range e.diary.Days {
		if d.Day < now.Format(time.DateOnly) && (!e.uploads || d.sent()) {
			d.Once = []Used{}
		}
	}
}

func newID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// count adds a judged code to the day.
func (e *Engine) count(r verification.Report) {
	d, hour, typ := e.today(), e.local().Hour(), r.Type
	known := slices.ContainsFunc(d.Scans, func(s Scan) bool { return s.Type == typ })
	if len(typ) > maxTypeName || !known && d.types() >= maxTypes {
		typ = ""
	}
	for i := range d.Scans {
		if s := &d.Scans[i]; s.Type == typ && s.Verdict == r.Verdict && s.Hour == hour {
			s.Count++
			return
		}
	}
	d.Scans = append(d.Scans, Scan{typ, r.Verdict, hour, 1})
}

// types is how many types were counted.
func (d *day) types() int {
	var all []string
	for _, s := range d.Scans {
		if !slices.Contains(all, s.Type) {
			all = append(all, s.Type)
		}
	}
	return len(all)
}

// admit is the Admit of [verification.Once].
func (e *Engine) admit(hash [sha256.Size]byte) time.Time {
	d := e.today()
	if e.used == nil {
		e.used = make(map[string]string, len(d.Once))
		for _, other := range e.diary.Days { // what this page was called then does not matter
			if other.Day != d.Day {
				continue
			}
			for _, u := range other.Once {
				e.used[u.Hash] = u.At
			}
		}
	}
	now, name := e.local(), base64.RawURLEncoding.EncodeToString(hash[:])
	if at, ok := e.used[name]; ok {
		first, err := time.ParseInLocation("2006-01-02 15:04", d.Day+" "+at, e.zone)
		if err != nil {
			first = now
		}
		return first
	}
	if len(d.Once) == partSize*maxParts {
		return time.Time{} // some sixty thousand at one counter: nobody is that fast
	}
	if len(d.Once) == partSize*len(d.IDs) {
		d.IDs = append(d.IDs, newID())
	}
	e.used[name] = now.Format("15:04")
	d.Once = append(d.Once, Used{name, e.used[name]})
	return time.Time{}
}

// Pending are the uploads that the server does not have yet, as JSON.
func (e *Engine) Pending() []Pending {
	all := []Pending{}
	for _, d := range e.diary.Days {
		for i := range d.IDs {
			u := d.part(i)
			if w := u.weight(); w > d.Sent[u.ID] {
				b, err := json.Marshal(u)
				if err == nil {
					all = append(all, Pending{u.ID, w, string(b)})
				}
			}
		}
	}
	return all
}

// Pending is an upload to be made.
type Pending struct {
	ID string `json:"id"`
	// Weight is what [Engine.Uploaded] wants back.
	Weight int    `json:"weight"`
	Body   string `json:"body"`
}

// maxConflicts is how many conflicts of one answer are kept.
const maxConflicts = 1000

// Uploaded takes the answer to an upload: that the server has it, and which entitlements
// were accepted elsewhere, too.
func (e *Engine) Uploaded(id string, weight int, answer []byte) error {
	var got struct {
		Conflicts []Conflict `json:"conflicts"`
	}
	if err := json.Unmarshal(answer, &got); err != nil {
		return err
	}
	for _, d := range e.diary.Days {
		i := slices.Index(d.IDs, id)
		if i < 0 {
			continue
		}
		mine := d.part(i).Once
		for _, c := range got.Conflicts[:min(len(got.Conflicts), maxConflicts)] {
			ours := slices.IndexFunc(mine, func(u Used) bool { return u.Hash == c.Hash })
			if ours < 0 || !isClock(c.At) || len(c.Counter) > maxCounterText {
				continue
			}
			if c.Here = mine[ours].At; !slices.Contains(d.Conflicts, c) {
				d.Conflicts = append(d.Conflicts, c)
			}
		}
		if d.Sent == nil {
			d.Sent = map[string]int{}
		}
		d.Sent[id] = max(d.Sent[id], weight)
	}
	return nil
}

// A Tally is the diary for people.
type Tally struct {
	Days []TallyDay `json:"days"`
	// Verdicts are the heads of the columns.
	Verdicts []string `json:"verdicts"`
	CSV      string   `json:"csv"`
}

// A TallyDay is one day, the newest first.
type TallyDay struct {
	Day   string     `json:"day"`
	Rows  []TallyRow `json:"rows"`
	Total []string   `json:"total"`
	// Notes say what else there is: entitlements, what the server has, conflicts.
	Notes []string `json:"notes"`
}

// A TallyRow is one type in one hour.
type TallyRow struct {
	Type   string   `json:"type"`
	Hour   string   `json:"hour"`
	Counts []string `json:"counts"` // in the order of verification.Verdicts
}

// Tally tells what was counted.
func (e *Engine) Tally(l i18n.Language) Tally {
	e.tidy()
	t := Tally{Days: []TallyDay{}, Verdicts: []string{}}
	for _, v := range verification.Verdicts() {
		t.Verdicts = append(t.Verdicts, l.Text("verdict."+string(v), nil))
	}
	csv := safecsv.AppendRow(nil, "day", "counter", "hour", "type", "verdict", "count")
	for _, d := range slices.Backward(e.diary.Days) {
		out := TallyDay{Rows: []TallyRow{}, Total: []string{}, Notes: []string{}}
		if at, err := time.Parse(time.DateOnly, d.Day); err == nil {
			out.Day = l.Date(at)
		}
		if name := e.officeName(d.Counter, l); name != "" {
			out.Day += " · " + name
		}
		scans := slices.Clone(d.Scans)
		slices.SortFunc(scans, func(a, b Scan) int {
			return cmp.Or(cmp.Compare(a.Hour, b.Hour), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Verdict, b.Verdict))
		})
		sum := map[verification.Verdict]int{}
		for i, s := range scans {
			csv = safecsv.AppendRow(csv, d.Day, d.Counter, strconv.Itoa(s.Hour), s.Type, string(s.Verdict), strconv.Itoa(s.Count))
			sum[s.Verdict] += s.Count
			if i > 0 && scans[i-1].Hour == s.Hour && scans[i-1].Type == s.Type {
				continue
			}
			row := TallyRow{Type: e.typeName(s.Type, l), Hour: l.Clock(time.Date(2000, 1, 1, s.Hour, 0, 0, 0, time.UTC))}
			for _, v := range verification.Verdicts() {
				row.Counts = append(row.Counts, l.Number(d.counted(s.Type, v, s.Hour)))
			}
			out.Rows = append(out.Rows, row)
		}
		for _, v := range verification.Verdicts() {
			out.Total = append(out.Total, l.Number(sum[v]))
		}
		out.Notes = e.dayNotes(d, l)
		t.Days = append(t.Days, out)
	}
	t.CSV = string(csv)
	return t
}

func (d *day) counted(typ string, v verification.Verdict, hour int) int {
	for _, s := range d.Scans {
		if s.Type == typ && s.Verdict == v && s.Hour == hour {
			return s.Count
		}
	}
	return 0
}

// typeName is a type in words.
func (e *Engine) typeName(id string, l i18n.Language) string {
	if id == "" {
		return l.Text("scanner.tally.unknown", nil)
	}
	if e.bundle != nil {
		if t, ok := e.bundle.Type(id); ok {
			return visible.Text(l.Pick(t.Labels))
		}
	}
	return visible.Text(id)
}

func (e *Engine) dayNotes(d *day, l i18n.Language) []string {
	notes := []string{}
	if len(d.Once) > 0 {
		notes = append(notes, l.Text("scanner.tally.once", map[string]string{"number": l.Number(len(d.Once))}))
	}
	if e.uploads {
		key := "scanner.tally.waits"
		if d.sent() {
			key = "scanner.tally.sent"
		}
		notes = append(notes, l.Text(key, nil))
	}
	for _, c := range d.Conflicts {
		notes = append(notes, l.Text("scanner.tally.conflict", map[string]string{"here": l.Digits(c.Here), "there": l.Digits(c.At), "name": e.officeName(c.Counter, l)}))
	}
	return notes
}

// officeName is an office in words, its id if the bundle does not list it.
func (e *Engine) officeName(id string, l i18n.Language) string {
	if v := e.verifier(id); v != nil {
		return visible.Text(l.Pick(v.Names))
	}
	return visible.Text(id)
}
