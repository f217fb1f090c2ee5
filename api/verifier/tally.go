package verifier

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sanad-id/sanad/internal/safecsv"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/store/parties"
	"github.com/sanad-id/sanad/verification"
)

// A TallyStore keeps what counters did without a network; *parties.DB is one.
type TallyStore interface {
	// PutTally keeps a tally in the place of an earlier one with its id, and returns where
	// other counters of the party saw the same that day.
	PutTally(ctx context.Context, y parties.Tally, now time.Time) ([]parties.Conflict, error)
	// Conflicts returns what several counters saw on a day although it counts once.
	Conflicts(ctx context.Context, day string, party *string) ([]parties.PartyConflict, error)
	// Sweep counts the scans of older days for good and forgets all else of them.
	Sweep(ctx context.Context, before string, now time.Time) (int, error)
}

// Limits of a tally.
const (
	maxTally      = 256 << 10
	maxTallyItems = 50_000 // JSON values
	maxScans      = 4_000
	maxOnce       = 4_000
	maxScanCount  = 1_000_000
	maxTallyText  = 200
)

// DefaultTallyDays and MaxTallyDays are for how many days tallies are kept.
const (
	DefaultTallyDays = 31
	MaxTallyDays     = 366
)

var (
	tallyID   = regexp.MustCompile(`^[A-Za-z0-9_-]{22}$`)
	tallyHash = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
	tallyType = regexp.MustCompile(`^[^\p{C}\p{Z}]{1,200}$`)
)

// badTally refuses a tally. It names what is wrong and nothing of what was sent.
func badTally(what string) error {
	return web.Refuse(http.StatusBadRequest, "bad_tally", "%s", what)
}

// tally takes what a counter did on a day. The same id replaces what was there.
func (s *Service) tally(w http.ResponseWriter, r *http.Request, who *APIKey) error {
	if s.Tallies == nil {
		return errNotKept
	}
	if !s.sameSite(r) {
		return web.Refuse(http.StatusForbidden, "origin", "pages of this website may not upload here")
	}
	v, err := web.ReadJSON(r, 4, maxTallyItems)
	if err != nil {
		return err
	}
	y, err := readTally(v)
	if err != nil {
		return err
	}
	now := s.Now()
	if err := s.checkDay(y.Day, now); err != nil {
		return err
	}
	y.Party = who.Name
	y.Tidy()
	found, err := s.Tallies.PutTally(r.Context(), *y, now)
	if err != nil {
		return err
	}
	s.tallies.Add("taken")
	if len(found) > 0 {
		s.tallies.Add("conflict")
	} else {
		found = []parties.Conflict{}
	}
	return web.JSON(w, http.StatusOK, struct {
		Conflicts []parties.Conflict `json:"conflicts"`
	}{found})
}

// sameSite reports whether a request comes from no page, from one of ours, or from one of
// a website that the settings name.
func (s *Service) sameSite(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || slices.Contains(s.TallyOrigins, origin) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && (origin == s.URL || u.Host == r.Host)
}

// tallyDays is for how long tallies are kept.
func (s *Service) tallyDays() int {
	if s.TallyDays == 0 {
		return DefaultTallyDays
	}
	return s.TallyDays
}

// oldestDay is the first day of which tallies are taken. One day more is kept, so that
// what is folded never comes again from a server whose clock is a little behind.
func (s *Service) oldestDay(now time.Time) time.Time {
	return now.UTC().Truncate(24*time.Hour).AddDate(0, 0, -s.tallyDays())
}

// checkDay refuses days that are over for good, and those of clocks that are wrong: a
// counter may be a day ahead of UTC.
func (s *Service) checkDay(day string, now time.Time) error {
	at, err := time.Parse(time.DateOnly, day)
	switch {
	case err != nil:
		return badTally("day is not a date YYYY-MM-DD")
	case at.Before(s.oldestDay(now)):
		return web.Refuse(http.StatusGone, "too_old", "tallies are kept for %d days", s.tallyDays())
	case at.After(now.UTC().AddDate(0, 0, 1)):
		return badTally("day lies in the future; is the date of the counter right?")
	}
	return nil
}

// members takes an object with exactly these members.
func members(v strict.Value, names ...string) ([]strict.Value, bool) {
	if v.Kind() != strict.Object || v.Len() != len(names) {
		return nil, false
	}
	var all []strict.Value
	for _, n := range names {
		m := v.Get(n)
		if m.Kind() == strict.None {
			return nil, false
		}
		all = append(all, m)
	}
	return all, true
}

func readTally(v strict.Value) (*parties.Tally, error) {
	m, ok := members(v, "id", "counter", "day", "scans", "once")
	if !ok {
		return nil, badTally("the body is {id, counter, day, scans, once}")
	}
	y := new(parties.Tally)
	var okCounter, okDay bool
	y.ID, ok = m[0].Text()
	y.Counter, okCounter = m[1].Text()
	y.Day, okDay = m[2].Text()
	switch {
	case !ok || !tallyID.MatchString(y.ID) || !decodes(y.ID):
		return nil, badTally("id is not 16 bytes in base64url")
	case !okCounter || len(y.Counter) > maxTallyText || !utf8.ValidString(y.Counter) || strings.ContainsFunc(y.Counter, unicode.IsControl):
		return nil, badTally("counter is not a text of at most 200 bytes on one line")
	case !okDay:
		return nil, badTally("day is not a date YYYY-MM-DD")
	case m[3].Kind() != strict.Array || m[3].Len() > maxScans || m[4].Kind() != strict.Array || m[4].Len() > maxOnce:
		return nil, badTally("scans and once are lists of at most 4000")
	}
	for i := range m[3].Len() {
		scan, ok := readScan(m[3].At(i))
		if !ok {
			return nil, badTally("a scan is {type, verdict, hour, count}, with a type of at most 200 signs, an hour from 0 to 23 and a count from 1 to 1000000")
		}
		y.Scans = append(y.Scans, scan)
	}
	for i := range m[4].Len() {
		m, ok := members(m[4].At(i), "hash", "at")
		if !ok {
			return nil, badTally("what counts once is {hash, at}")
		}
		hash, okHash := m[0].Text()
		at, okAt := m[1].Text()
		if !okHash || !tallyHash.MatchString(hash) || !decodes(hash) || !okAt || !isTime(at) {
			return nil, badTally("hash is a SHA-256 in base64url, and at a time HH:MM")
		}
		y.Once = append(y.Once, parties.Seen{Hash: hash, At: at})
	}
	return y, nil
}

func readScan(v strict.Value) (parties.Scan, bool) {
	m, ok := members(v, "type", "verdict", "hour", "count")
	if !ok {
		return parties.Scan{}, false
	}
	kind, okType := m[0].Text()
	verdict, okVerdict := m[1].Text()
	hour, okHour := m[2].Int()
	n, okCount := m[3].Int()
	ok = okType && (tallyType.MatchString(kind) || kind == "") && okVerdict && slices.Contains(verification.Verdicts(), verification.Verdict(verdict)) &&
		okHour && hour >= 0 && hour <= 23 && okCount && n >= 1 && n <= maxScanCount
	return parties.Scan{Type: kind, Verdict: verdict, Hour: int(hour), N: n}, ok
}

// decodes reports whether a text has the one spelling of its bytes.
func decodes(text string) bool {
	_, err := strict.DecodeBase64URL(text)
	return err == nil
}

func isTime(at string) bool {
	_, err := time.Parse("15:04", at)
	return err == nil && len(at) == len("15:04")
}

// conflicts answers what several counters saw on a day although it counts once.
func (s *Service) conflicts(w http.ResponseWriter, r *http.Request, who *APIKey) error {
	if s.Tallies == nil {
		return errNotKept
	}
	q, err := web.Query(r)
	if err != nil {
		return err
	}
	day, format := q.Get("day"), q.Get("format")
	_, err = time.Parse(time.DateOnly, day)
	for name := range q {
		if name != "day" && name != "format" {
			err = errNotKept
		}
	}
	if err != nil || format != "" && format != "csv" && format != "json" {
		return badAsk("the query is day=YYYY-MM-DD, and may be format=csv")
	}
	found, err := s.Tallies.Conflicts(r.Context(), day, s.party(who))
	if err != nil {
		return err
	}
	if format == "csv" {
		writeCSV(w, "conflicts-"+day+".csv", conflictsCSV(day, found))
		return nil
	}
	if found == nil {
		found = []parties.PartyConflict{}
	}
	return web.JSON(w, http.StatusOK, struct {
		Day       string                  `json:"day"`
		Conflicts []parties.PartyConflict `json:"conflicts"`
	}{day, found})
}

// conflictsCSV is a table of conflicts for spreadsheets.
func conflictsCSV(day string, found []parties.PartyConflict) []byte {
	b := safecsv.AppendRow(nil, "day", "party", "hash", "at", "counter")
	for _, c := range found {
		b = safecsv.AppendRow(b, day, c.Party, c.Hash, c.At, c.Counter)
	}
	return b
}

// foldTallies counts what is old for good and forgets the rest of it.
func (s *Service) foldTallies(ctx context.Context, now time.Time) error {
	if s.Tallies == nil {
		return nil
	}
	_, err := s.Tallies.Sweep(ctx, s.oldestDay(now).AddDate(0, 0, -1).Format(time.DateOnly), now)
	return err
}
