package verifier

import (
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/sanad-id/sanad/internal/safecsv"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/store/parties"
)

// A UsageStore keeps how much relying parties used the service; *parties.DB is one.
type UsageStore interface {
	// AddUsage adds counts, once for each batch however often it is called.
	AddUsage(ctx context.Context, batch parties.Batch, now time.Time, counts []parties.Count) error
	// Usage returns the counts from one day to another, of one party or of all.
	Usage(ctx context.Context, first, last string, party *string) ([]parties.Count, error)
}

// A ledger counts verdicts until they are stored, some seconds later. A server that is
// killed loses those seconds, and never counts anything twice.
type ledger struct {
	store UsageStore
	now   func() time.Time
	rand  io.Reader

	mu    sync.Mutex
	fresh map[parties.Count]int64 // by count without number

	flushing sync.Mutex // of who stores; what follows belongs to that one
	batch    parties.Batch
	counts   []parties.Count // of batch, which may or may not be stored
}

const (
	// flushEvery is how often counts are stored.
	flushEvery = 10 * time.Second
	// maxFresh is how many different counts wait at most; more are only among the figures.
	maxFresh = 10_000
)

// count counts one verdict.
func (l *ledger) count(party, kind, subject, verdict string) {
	if l.store == nil {
		return
	}
	c := parties.Count{Day: l.now().UTC().Format(time.DateOnly), Party: party, Kind: kind, Subject: subject, Verdict: verdict}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.fresh[c]; ok || len(l.fresh) < maxFresh {
		l.fresh[c]++
	}
}

// flush stores what was counted. What may have been stored before is sent under the same
// name as then.
func (l *ledger) flush(ctx context.Context) error {
	if l.store == nil {
		return nil
	}
	l.flushing.Lock()
	defer l.flushing.Unlock()
	for {
		if l.counts == nil {
			if err := l.next(); err != nil || l.counts == nil {
				return err
			}
		}
		if err := l.store.AddUsage(ctx, l.batch, l.now(), l.counts); err != nil {
			return err
		}
		l.counts = nil
	}
}

// next makes a batch of what was counted since the last.
func (l *ledger) next() error {
	var batch parties.Batch
	if _, err := io.ReadFull(l.random(), batch[:]); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var counts []parties.Count
	for c, n := range l.fresh {
		c.N = n
		counts = append(counts, c)
	}
	l.batch, l.counts, l.fresh = batch, counts, map[parties.Count]int64{}
	return nil
}

func (l *ledger) random() io.Reader {
	if l.rand == nil {
		return rand.Reader
	}
	return l.rand
}

// errNotKept: the server has no store for what is asked.
var errNotKept = web.Refuse(http.StatusNotFound, "not_kept", "this server keeps no figures; `parties` in its settings says where")

// party is whose figures a key may read: its own, or on the private port all.
func (s *Service) party(who *APIKey) *string {
	if s.private() {
		return nil
	}
	return &who.Name
}

// UsageReport is the answer to GET /usage.
type UsageReport struct {
	From string          `json:"from"`
	To   string          `json:"to"`
	Rows []parties.Count `json:"rows"`
}

// maxUsageDays is the longest time that one report is about.
const maxUsageDays = 400

// UsageDays are the first and last day of a report: both given as YYYY-MM-DD, or those of
// the last 30 days.
func UsageDays(from, to string, now time.Time) (first, last string, ok bool) {
	if to == "" {
		to = now.UTC().Format(time.DateOnly)
	}
	end, err := time.Parse(time.DateOnly, to)
	if err != nil {
		return "", "", false
	}
	if from == "" {
		from = end.AddDate(0, 0, -29).Format(time.DateOnly)
	}
	begin, err := time.Parse(time.DateOnly, from)
	if err != nil || begin.After(end) || end.Sub(begin) > maxUsageDays*24*time.Hour {
		return "", "", false
	}
	return from, to, true
}

// usage answers how much a relying party used the service.
func (s *Service) usage(w http.ResponseWriter, r *http.Request, who *APIKey) error {
	if s.Usage == nil {
		return errNotKept
	}
	q, err := web.Query(r)
	if err != nil {
		return err
	}
	first, last, ok := UsageDays(q.Get("from"), q.Get("to"), s.Now())
	format := q.Get("format")
	for name := range q {
		ok = ok && (name == "from" || name == "to" || name == "format")
	}
	if !ok || format != "" && format != "csv" && format != "json" {
		return badAsk("the query may be from=YYYY-MM-DD, to=YYYY-MM-DD (at most 400 days) and format=csv")
	}
	if err := s.ledger.flush(r.Context()); err != nil { // so that one sees what one has just done
		return err
	}
	rows, err := s.Usage.Usage(r.Context(), first, last, s.party(who))
	if err != nil {
		return err
	}
	if format == "csv" {
		writeCSV(w, "usage-"+first+"-"+last+".csv", UsageCSV(rows))
		return nil
	}
	if rows == nil {
		rows = []parties.Count{}
	}
	return web.JSON(w, http.StatusOK, UsageReport{first, last, rows})
}

// UsageCSV is a table of counts for spreadsheets.
func UsageCSV(rows []parties.Count) []byte {
	b := safecsv.AppendRow(nil, "day", "party", "kind", "subject", "verdict", "count")
	for _, c := range rows {
		b = safecsv.AppendRow(b, c.Day, c.Party, c.Kind, c.Subject, c.Verdict, strconv.FormatInt(c.N, 10))
	}
	return b
}

// writeCSV answers with a file.
func writeCSV(w http.ResponseWriter, name string, b []byte) {
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	web.Write(w, http.StatusOK, "text/csv; charset=utf-8", b)
}
