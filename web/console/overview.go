package console

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/figures"
	"github.com/sanad-id/sanad/internal/docpdf"
	"github.com/sanad-id/sanad/internal/safecsv"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/staff"
)

// Figures are the numbers of the overview.
type Figures interface {
	// Figures returns the counts of these days, YYYY-MM-DD, both included, as they are
	// now.
	Figures(ctx context.Context, from, to string) ([]figures.Count, error)
}

// overviewRoutes are the pages of figures.
func (c *Console) overviewRoutes() []route {
	if c.cfg.Manage.Figures == nil {
		return nil
	}
	all := []route{
		get("overview", "/overview", staff.ViewOverview, c.overview).in("manage.nav.overview"),
		get("overview_report", "/overview/report", staff.ViewOverview, c.pilotReport),
		get("overview_csv", "/overview/figures.csv", staff.ExportFigures, c.exportFigures),
	}
	if c.cfg.Paper != nil {
		all = append(all, get("overview_report_file", "/overview/report.pdf", staff.ViewOverview, c.pilotReportFile))
	}
	return all
}

// mostDays is how long a period can be.
const mostDays = 3 * 366

// period reads the days of the address: the last 30 if there are none.
func (c *Console) period(r *request) (from, to time.Time, f *form, err error) {
	a, err := r.query("from")
	if err != nil {
		return from, to, nil, err
	}
	b, err := r.query("to")
	if err != nil {
		return from, to, nil, err
	}
	today := c.now().Truncate(24 * time.Hour)
	to, from = today, today.AddDate(0, 0, -29)
	f = blank()
	read := func(name, text string, day *time.Time) {
		if text == "" {
			return
		}
		t, err := time.Parse(time.DateOnly, text)
		if err != nil || t.Year() < 2000 || t.Year() > 2200 {
			f.fail(name, "manage.overview.no_day")
			return
		}
		*day = t
	}
	read("from", a, &from)
	read("to", b, &to)
	switch {
	case f.OK() && to.Before(from):
		f.fail("to", "manage.overview.turned")
	case f.OK() && to.Sub(from) > mostDays*24*time.Hour:
		f.fail("from", "manage.overview.long")
	}
	f.values.Set("from", cmp.Or(a, from.Format(time.DateOnly)))
	f.values.Set("to", cmp.Or(b, to.Format(time.DateOnly)))
	return from, to, f, nil
}

// seesAll reports whether the operator sees the figures of every office.
func (r *request) seesAll() bool { return r.Operator.Is(staff.Administrator) }

// counted are the counts that the operator may see.
func (c *Console) counted(r *request, from, to time.Time) ([]figures.Count, error) {
	all, err := c.cfg.Manage.Figures.Figures(r.Context(), from.Format(time.DateOnly), to.Format(time.DateOnly))
	if err != nil {
		return nil, away("figures", err)
	}
	if !r.seesAll() {
		all = slices.DeleteFunc(all, func(n figures.Count) bool { return n.Office != r.Office.ID })
	}
	return all, nil
}

// An overviewView is the page of figures.
type overviewView struct {
	figures.Report
	Query   string // of the period
	Waiting []figures.Line
	Cards   *cardsView
	Witness *witnessView
	Chart   template.HTML
	Bars    template.HTML
	All     bool
}

// overview shows the figures of a period.
func (c *Console) overview(w http.ResponseWriter, r *request) error {
	from, to, f, err := c.period(r)
	if err != nil {
		return err
	}
	v := overviewView{All: r.seesAll(), Query: "from=" + from.Format(time.DateOnly) + "&to=" + to.Format(time.DateOnly)}
	if !f.OK() {
		return c.renderForm(w, r, http.StatusOK, "overview", f, v)
	}
	if v.Report, err = c.report(r, from, to); err != nil {
		return err
	}
	if v.Waiting, err = c.waitingNow(r); err != nil {
		return err
	}
	if v.Cards, err = c.lackingCards(r); err != nil {
		return err
	}
	v.Witness = c.lackingWitness(r)
	rtl := r.Lang.Direction() == "rtl"
	v.Chart = columnChart(v.Days, from, to, rtl, r.Lang.Text("manage.overview.chart", nil))
	var bars []figures.Line
	for _, p := range v.Programmes {
		name := p.Name
		if v.All && p.Office != "" {
			name += " (" + p.Office + ")"
		}
		bars = append(bars, figures.Line{Name: name, N: p.Issued})
	}
	v.Bars = barChart(bars, rtl, r.Lang.Text("manage.overview.bars", nil))
	return c.renderForm(w, r, http.StatusOK, "overview", f, v)
}

// pilotReport is the account of a period on one page.
func (c *Console) pilotReport(w http.ResponseWriter, r *request) error {
	from, to, f, err := c.period(r)
	if err != nil {
		return err
	}
	if !f.OK() {
		return c.renderForm(w, r, http.StatusOK, "overview", f, overviewView{})
	}
	report, err := c.report(r, from, to)
	if err != nil {
		return err
	}
	v := pilotView{Report: report}
	if c.cfg.Paper != nil {
		v.File = Base + "/overview/report.pdf?from=" + from.Format(time.DateOnly) + "&to=" + to.Format(time.DateOnly)
	}
	return c.render(w, r, http.StatusOK, "pilot_report", v)
}

// A pilotView is the account of a period, and where it is as a file.
type pilotView struct {
	figures.Report
	File string
}

// pilotReportFile is the account of a period as a PDF file: what the page says, and its
// charts.
func (c *Console) pilotReportFile(w http.ResponseWriter, r *request) error {
	from, to, f, err := c.period(r)
	if err != nil {
		return err
	}
	if !f.OK() {
		return errNotFound
	}
	rep, err := c.report(r, from, to)
	if err != nil {
		return err
	}
	var file bytes.Buffer // all of it before the first byte, so that an error can still be answered
	if _, err := c.cfg.Paper.Report(&file, c.printedReport(r, rep)); err != nil {
		return away("paper", err)
	}
	download(w, "application/pdf", "report-"+from.Format("20060102")+"-"+to.Format("20060102")+".pdf")
	w.Header().Set("Content-Length", strconv.Itoa(file.Len()))
	_, err = w.Write(file.Bytes())
	return sent(err)
}

// printedReport puts an account into the words of a language.
func (c *Console) printedReport(r *request, rep figures.Report) docpdf.Report {
	l := r.Lang
	text := func(key string) string { return l.Text(key, nil) }
	whose := rep.Issuer
	if rep.Office != "" {
		whose += ", " + rep.Office
	}
	made := rep.Made.In(c.cfg.Zone)
	p := docpdf.Report{Title: text("manage.report.title"), Language: l, Made: rep.Made, Lines: []string{
		whose, l.Text("manage.report.period", map[string]string{"from": l.Date(rep.From), "to": l.Date(rep.To)}),
		l.Text("manage.report.made", map[string]string{"at": l.DateTime(made)}),
	}}
	lines := func(heading string, all []figures.Line) {
		if len(all) == 0 {
			return
		}
		s := docpdf.Section{Heading: text(heading)}
		for _, n := range all {
			s.Rows = append(s.Rows, []string{n.Name, l.Quantity(int(n.N))})
		}
		p.Sections = append(p.Sections, s)
	}
	lines("manage.report.totals", rep.Totals)
	if len(rep.Days) > 0 {
		heading := text("manage.overview.chart")
		p.Sections = append(p.Sections, docpdf.Section{Heading: heading, Chart: &docpdf.Chart{Alt: heading, Values: perColumn(rep.Days, rep.From, rep.To)}})
	}
	if len(rep.Programmes) > 0 {
		heading := text("manage.overview.bars")
		s := docpdf.Section{Heading: heading, Chart: &docpdf.Chart{Alt: heading}}
		for _, key := range []string{"batch.programme", "overview.office", "count.issued", "count.wallet", "count.revoked", "count.failed"} {
			s.Head = append(s.Head, text("manage."+key))
		}
		for i, n := range rep.Programmes {
			if i < mostBars {
				s.Chart.Labels, s.Chart.Values = append(s.Chart.Labels, n.Name), append(s.Chart.Values, n.Issued)
			}
			s.Rows = append(s.Rows, []string{
				n.Name, cmp.Or(n.Office, text("manage.overview.elsewhere")), l.Quantity(int(n.Issued)), l.Quantity(int(n.Wallet)),
				l.Quantity(int(n.Revoked)), l.Quantity(int(n.Failed)),
			})
		}
		p.Sections = append(p.Sections, s)
	}
	lines("manage.report.reasons", rep.Reasons)
	lines("manage.report.faults", rep.Faults)
	if len(rep.Times) > 0 {
		s := docpdf.Section{Heading: text("manage.time.title")}
		for _, key := range []string{"step", "n", "mean", "longest"} {
			s.Head = append(s.Head, text("manage.time."+key))
		}
		for _, n := range rep.Times {
			s.Rows = append(s.Rows, []string{n.Name, l.Quantity(int(n.N)), l.Age(n.Mean), l.Age(n.Longest)})
		}
		p.Sections = append(p.Sections, s)
	}
	unknown := docpdf.Section{Heading: text("manage.report.unknown")}
	for _, key := range rep.Unknown {
		unknown.Text = append(unknown.Text, text(key))
	}
	p.Sections = append(p.Sections, unknown)
	return p
}

// mostBars is how many bars a chart has.
const mostBars = 12

// totals are what the page of figures counts, in its order.
var totals = []string{figures.Issued, figures.Wallet, figures.Replaced, figures.Revoked, figures.Suspended, figures.Resumed, figures.Failed, figures.Batches}

// report puts together what there is to say about a period.
func (c *Console) report(r *request, from, to time.Time) (figures.Report, error) {
	rep := figures.Report{Issuer: r.Lang.Pick(c.cfg.Names), From: from, To: to, Made: c.now()}
	if !r.seesAll() {
		rep.Office = r.Office.Name
	}
	counts, err := c.counted(r, from, to)
	if err != nil {
		return rep, err
	}
	labels := map[string]string{}
	if c.cfg.Manage.Programmes != nil {
		if labels, _, err = c.labels(r); err != nil {
			return rep, err
		}
	}
	offices, err := c.cfg.Desk.Offices(r.Context())
	if err != nil {
		return rep, away("offices", err)
	}
	sum := figures.Sum(counts)
	for _, what := range totals {
		rep.Totals = append(rep.Totals, figures.Line{Code: what, Name: r.Lang.Text("manage.count."+what, nil), N: sum[figures.Key{What: what}]})
	}
	rep.Programmes = programmeLines(counts, labels, offices)
	for _, reason := range append(issuance.Reasons(), issuance.Superseded) {
		if n := sum[figures.Key{What: figures.Revoked + "." + string(reason)}]; n > 0 {
			rep.Reasons = append(rep.Reasons, figures.Line{Code: string(reason), Name: r.Lang.Text("manage.reason."+string(reason)+".name", nil), N: n})
		}
	}
	for day := from; !day.After(to); day = day.AddDate(0, 0, 1) {
		if n := sum[figures.Key{What: figures.Issued, Day: day.Format(time.DateOnly)}]; n > 0 {
			rep.Days = append(rep.Days, figures.DayLine{Day: day, N: n})
			rep.PerDay += float64(n)
		}
	}
	if len(rep.Days) > 0 {
		rep.PerDay /= float64(len(rep.Days))
	}
	rep.Unknown = []string{"manage.report.unknown.checks", "manage.report.unknown.complaints", "manage.report.unknown.costs"}
	return rep, c.batchFigures(r, &rep)
}

// programmeLines are the sums by office and programme.
func programmeLines(counts []figures.Count, labels map[string]string, offices []staff.Office) []figures.ProgrammeLine {
	names := map[string]string{}
	for _, o := range offices {
		names[o.ID] = o.Name
	}
	lines := map[[2]string]*figures.ProgrammeLine{}
	for _, n := range counts {
		if n.Programme == "" {
			continue
		}
		k := [2]string{n.Office, n.Programme}
		l := lines[k]
		if l == nil {
			l = &figures.ProgrammeLine{Office: cmp.Or(names[n.Office], n.Office), Programme: n.Programme, Name: cmp.Or(labels[n.Programme], n.Programme)}
			lines[k] = l
		}
		for what, field := range map[string]*int64{
			figures.Issued: &l.Issued, figures.Wallet: &l.Wallet, figures.Replaced: &l.Replaced, figures.Revoked: &l.Revoked,
			figures.Suspended: &l.Suspended, figures.Resumed: &l.Resumed, figures.Failed: &l.Failed,
		} {
			if n.What == what {
				*field += n.N
			}
		}
	}
	var all []figures.ProgrammeLine
	for _, l := range lines {
		all = append(all, *l)
	}
	slices.SortFunc(all, func(a, b figures.ProgrammeLine) int {
		return cmp.Or(cmp.Compare(b.Issued, a.Issued), strings.Compare(a.Office, b.Office), strings.Compare(a.Programme, b.Programme))
	})
	return all
}

// batchFigures adds what is known from batches: faults and times.
func (c *Console) batchFigures(r *request, rep *figures.Report) error {
	if c.cfg.Manage.Batches == nil {
		return nil
	}
	q := batchwork.Query{Since: rep.From, Before: rep.To.AddDate(0, 0, 1)}
	if !r.seesAll() {
		q.Office = r.Office.ID
	}
	jobs, err := c.cfg.Manage.Batches.Store().Jobs(r.Context(), q)
	if err != nil {
		return away("batches", err)
	}
	var faulty, skipped int64
	steps := []struct {
		code     string
		from, to func(batchwork.Job) time.Time
	}{
		{"check", func(j batchwork.Job) time.Time { return j.Made }, func(j batchwork.Job) time.Time { return j.CheckedAt }},
		{"agree", func(j batchwork.Job) time.Time { return j.ProposedAt }, func(j batchwork.Job) time.Time { return j.ApprovedAt }},
		{"issue", func(j batchwork.Job) time.Time { return j.Began }, func(j batchwork.Job) time.Time { return j.Ended }},
	}
	times := make([]figures.TimeLine, len(steps))
	for _, j := range jobs {
		faulty, skipped = faulty+j.Dry.Faulty, skipped+j.Dry.Skipped
		for i, s := range steps {
			from, to := s.from(j), s.to(j)
			if from.IsZero() || to.IsZero() || to.Before(from) {
				continue
			}
			times[i].N++
			times[i].Mean += to.Sub(from)
			times[i].Longest = max(times[i].Longest, to.Sub(from))
		}
	}
	for i, s := range steps {
		if times[i].N > 0 {
			times[i].Code, times[i].Name = s.code, r.Lang.Text("manage.time."+s.code, nil)
			times[i].Mean /= time.Duration(times[i].N)
			rep.Times = append(rep.Times, times[i])
		}
	}
	for _, l := range []figures.Line{{Code: "faulty", N: faulty}, {Code: "skipped", N: skipped}} {
		if l.N > 0 {
			l.Name = r.Lang.Text("manage.batch."+l.Code, nil)
			rep.Faults = append(rep.Faults, l)
		}
	}
	return nil
}

// waitingNow are the things that wait for somebody now.
func (c *Console) waitingNow(r *request) ([]figures.Line, error) {
	office := r.Office.ID
	if r.seesAll() {
		office = ""
	}
	var all []figures.Line
	if c.cfg.Manage.Batches != nil {
		for _, s := range []batchwork.State{batchwork.Checked, batchwork.Proposed, batchwork.Paused, batchwork.Failed} {
			jobs, err := c.cfg.Manage.Batches.Store().Jobs(r.Context(), batchwork.Query{Office: office, States: []batchwork.State{s}})
			if err != nil {
				return nil, away("batches", err)
			}
			all = append(all, figures.Line{Code: string(s), Name: r.Lang.Text("manage.waiting."+string(s), nil), N: int64(len(jobs))})
		}
	}
	open, err := c.cfg.Desk.Proposals(r.Context(), office, []staff.State{staff.Proposed})
	if err != nil {
		return nil, away("proposals", err)
	}
	n := int64(0)
	for _, p := range open {
		if c.now().Before(p.Expires) {
			n++
		}
	}
	return append(all, figures.Line{Code: "proposals", Name: r.Lang.Text("manage.waiting.proposals", nil), N: n}), nil
}

// exportFigures hands out the counts of a period.
func (c *Console) exportFigures(w http.ResponseWriter, r *request) error {
	from, to, f, err := c.period(r)
	if err != nil {
		return err
	}
	if !f.OK() {
		return errNotFound
	}
	var counts []figures.Count
	err = c.act(r, deed{Action: staff.ExportFigures, Subject: "figures"}, func(context.Context) error {
		counts, err = c.counted(r, from, to)
		return err
	})
	if err != nil {
		return err
	}
	b := safecsv.AppendRow([]byte("\ufeff"), "day", "office", "programme", "what", "number")
	for _, n := range counts {
		b = safecsv.AppendRow(b, n.Day, n.Office, n.Programme, n.What, strconv.FormatInt(n.N, 10))
	}
	download(w, "text/csv; charset=utf-8", "figures-"+from.Format("20060102")+"-"+to.Format("20060102")+".csv")
	_, err = w.Write(b)
	return sent(err)
}

// perColumn are the numbers of the columns of a chart: of a day each, or of some days
// together in a long period.
func perColumn(days []figures.DayLine, from, to time.Time) []int64 {
	n := int(to.Sub(from)/(24*time.Hour)) + 1
	if n < 1 {
		return nil
	}
	per := 1
	for n/per > 60 {
		per++
	}
	columns := make([]int64, (n+per-1)/per)
	for _, d := range days {
		columns[int(d.Day.Sub(from)/(24*time.Hour))/per] += d.N
	}
	return columns
}

// columnChart draws how many there were on each day, or in each week or month of a long
// period. A table says the same.
func columnChart(days []figures.DayLine, from, to time.Time, rtl bool, title string) template.HTML {
	columns := perColumn(days, from, to)
	if len(days) == 0 || len(columns) == 0 {
		return ""
	}
	most := slices.Max(columns)
	const width, height = 600, 120
	step := float64(width) / float64(len(columns))
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="chart" viewBox="0 0 %d %d" role="img" preserveAspectRatio="none"><title>%s</title>`, width, height+2, template.HTMLEscapeString(title))
	for i, v := range columns {
		if v == 0 {
			continue
		}
		x := float64(i) * step
		if rtl {
			x = float64(width) - x - step
		}
		h := max(1, float64(v)/float64(most)*height)
		fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, x+step*.1, height-h, step*.8, h)
	}
	fmt.Fprintf(&b, `<path d="M0 %d.5H%d"/></svg>`, height, width)
	return template.HTML(b.String()) //nolint:gosec // numbers, and a title that is escaped
}

// barChart draws numbers as bars, the first twelve.
func barChart(lines []figures.Line, rtl bool, title string) template.HTML {
	if len(lines) == 0 {
		return ""
	}
	lines = lines[:min(len(lines), mostBars)]
	most := int64(1)
	for _, l := range lines {
		most = max(most, l.N)
	}
	const width, bar = 600, 16
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="chart" viewBox="0 0 %d %d" role="img" preserveAspectRatio="none"><title>%s</title>`, width, bar*len(lines), template.HTMLEscapeString(title))
	for i, l := range lines {
		w := max(1, float64(l.N)/float64(most)*width)
		x := 0.0
		if rtl {
			x = width - w
		}
		fmt.Fprintf(&b, `<rect x="%.1f" y="%d" width="%.1f" height="%d"/>`, x, i*bar+2, w, bar-4)
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) //nolint:gosec // numbers, and a title that is escaped
}
