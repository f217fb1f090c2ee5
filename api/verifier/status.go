package verifier

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/internal/visible"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/trust"
)

// A Status says how fresh the knowledge of a verifier is. It is for everybody: it names
// no address and no path.
type Status struct {
	// Release is the version of the program.
	Release string    `json:"release,omitempty"`
	Now     time.Time `json:"now"`
	// Level is the worst of Items.
	Level Level `json:"level"`
	// Bundle is the trust bundle in use; nil without one.
	Bundle  *BundleStatus  `json:"bundle,omitempty"`
	Items   []Freshness    `json:"items"`
	Updates []UpdateStatus `json:"updates"`
}

// A BundleStatus names a trust bundle.
type BundleStatus struct {
	Version      uint64    `json:"version"`
	Jurisdiction string    `json:"jurisdiction,omitempty"`
	Fingerprint  string    `json:"fingerprint"`
	AsOf         time.Time `json:"as_of"`
}

// An UpdateStatus says how a source of trust bundles did. Sources are counted from 1.
type UpdateStatus struct {
	Source    int       `json:"source"`
	Tried     time.Time `json:"tried,omitzero"`
	Succeeded time.Time `json:"succeeded,omitzero"`
	// Outcome is one of [UpdateOutcomes], empty if it was never asked.
	Outcome string `json:"outcome,omitempty"`
}

// StatusOf makes the status of a verifier that judges by a bundle, and by roots of the settings.
// certificate is that of the key which signs requests, in DER; nil if there is none.
func StatusOf(b *trust.Bundle, roots []IssuerRoot, certificate []byte, sources []Source, release string, now time.Time) Status {
	st := Status{Release: release, Now: now.UTC().Truncate(time.Second), Items: FreshnessOf(b, roots, certificate, now), Updates: []UpdateStatus{}}
	st.Level = Worst(st.Items)
	if b != nil {
		st.Bundle = &BundleStatus{Version: b.Version, Jurisdiction: b.Jurisdiction, Fingerprint: b.Fingerprint(), AsOf: b.AsOf}
	}
	for i, s := range sources {
		st.Updates = append(st.Updates, UpdateStatus{Source: i + 1, Tried: s.Tried, Succeeded: s.Succeeded, Outcome: s.Outcome})
	}
	return st
}

// status is that of the server now.
func (s *Service) status() Status {
	now := s.Now()
	bundle, _ := s.Trust()
	var certificate []byte
	if sig, err := s.Signature(now); err == nil && len(sig.X5C) > 0 {
		certificate = sig.X5C[0]
	}
	var sources []Source
	if s.Updates != nil {
		sources = s.Updates()
	}
	return StatusOf(bundle, s.IssuerRoots, certificate, sources, s.Release, now)
}

// Degraded names what has aged although requests are answered, such as "lists due".
func (s *Service) Degraded() []string {
	var all []string
	for _, f := range s.status().Items {
		if word := f.What + " " + string(f.Level); f.Level != LevelFresh && !slices.Contains(all, word) {
			all = append(all, word)
		}
	}
	return all
}

var (
	//go:embed status.html
	statusText string
	//go:embed status.css
	statusStyle string

	statusPage = template.Must(template.New("status").Parse(statusText))

	// statusPolicy allows the one style that stands in the page.
	statusPolicy = func() string {
		sum := sha256.Sum256([]byte(statusStyle))
		return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	}()
)

// page answers with the status: for people, or as JSON for whoever accepts that and no
// HTML.
func (s *Service) page(w http.ResponseWriter, r *http.Request) error {
	q, err := web.Query(r)
	if err != nil {
		return err
	}
	lang := q.Get("lang")
	if len(q) > 1 || len(q) == 1 && lang == "" {
		return badAsk("the query may be lang=LANGUAGE")
	}
	w.Header().Set("Vary", "Accept, Accept-Language")
	accept := strings.Join(r.Header.Values("Accept"), ",")
	if strings.Contains(accept, web.MediaJSON) && !strings.Contains(accept, "text/html") {
		return web.JSON(w, http.StatusOK, s.status())
	}
	l := i18n.For(lang, r.Header.Get("Accept-Language"))
	var b bytes.Buffer
	if err := statusPage.Execute(&b, statusView(s.status(), l)); err != nil {
		return err
	}
	w.Header().Set("Content-Security-Policy", statusPolicy)
	web.Write(w, http.StatusOK, "text/html; charset=utf-8", b.Bytes())
	return nil
}

// A statusData is what the page shows, in words.
type statusData struct {
	Lang, Dir                            string
	Style                                template.CSS
	Title, Level, Says, At, Bundle, Note string
	Release, Language                    string
	ItemsTitle, UpdatesTitle, NoSources  string
	ItemColumns, UpdateColumns           []string
	Items                                []statusRow
	Updates                              [][]string
	Languages                            []statusLanguage
}

// fingerprintOf is what the fingerprint of a certificate is called, in every language. The page
// has it, too.
const fingerprintOf = "SHA-256"

// A statusRow is a line of the table: the state is one of Levels beside its words.
type statusRow struct {
	What           string
	Level          Level
	State          string
	AsOf, Due, Old string
	Fingerprint    string
}

type statusLanguage struct {
	Tag, Name string
	Current   bool
}

func statusView(st Status, l i18n.Language) statusData {
	t := func(key string) string { return l.Text("status."+key, nil) }
	moment := func(at time.Time) string {
		if at.IsZero() {
			return t("none")
		}
		return l.DateTime(at.UTC())
	}
	d := statusData{
		Lang: l.Tag(), Dir: l.Direction(), Style: template.CSS(statusStyle), Title: t("title"), Level: string(st.Level), Says: t("says." + string(st.Level)),
		At: l.Text("status.at", map[string]string{"time": l.DateTime(st.Now)}), Note: t("note"), Language: t("language"),
		ItemsTitle: t("items"), UpdatesTitle: t("updates"),
		ItemColumns:   []string{t("column.what"), t("column.state"), t("column.as_of"), t("column.due"), t("column.old")},
		UpdateColumns: []string{t("column.source"), t("column.tried"), t("column.succeeded"), t("column.outcome")},
	}
	if st.Release != "" {
		d.Release = l.Text("status.release", map[string]string{"version": st.Release})
	}
	if b := st.Bundle; b != nil {
		d.Bundle = l.Text("status.bundle", map[string]string{"version": l.Digits(strconv.FormatUint(b.Version, 10)), "fingerprint": b.Fingerprint})
	}
	for _, f := range st.Items {
		name, _ := visible.Clean(l.Pick(f.Names))
		if name == "" {
			name, _ = visible.Clean(f.Subject)
		}
		row := statusRow{
			What: l.Text("status.what."+f.What, map[string]string{"name": name}), Level: f.Level, State: t("level." + string(f.Level)),
			AsOf: moment(f.AsOf), Due: moment(f.Due), Old: moment(f.Old),
		}
		if f.What == OfIssuerRoot {
			row.Fingerprint = f.Subject
		}
		d.Items = append(d.Items, row)
	}
	if len(st.Updates) == 0 {
		d.NoSources = t("no_sources")
	}
	for _, u := range st.Updates {
		outcome := t("none")
		if u.Outcome != "" {
			outcome = t("outcome." + u.Outcome)
		}
		d.Updates = append(d.Updates, []string{l.Number(u.Source), moment(u.Tried), moment(u.Succeeded), outcome})
	}
	for _, other := range i18n.Languages() {
		d.Languages = append(d.Languages, statusLanguage{other.Tag(), other.Name(), other.Tag() == l.Tag()})
	}
	return d
}

// Lines are the status for a terminal.
func (st Status) Lines(l i18n.Language) []string {
	d := statusView(st, l)
	lines := []string{d.Says, d.At}
	if d.Bundle != "" {
		lines = append(lines, d.Bundle)
	}
	lines = append(lines, "", d.ItemsTitle)
	for _, i := range d.Items {
		lines = append(lines, "  "+i.What, "    "+i.State)
		for n, v := range []string{i.AsOf, i.Due, i.Old} {
			lines = append(lines, "    "+d.ItemColumns[n+2]+": "+v)
		}
		if i.Fingerprint != "" {
			lines = append(lines, "    "+fingerprintOf+": "+i.Fingerprint)
		}
	}
	lines = append(lines, "", d.UpdatesTitle)
	if d.NoSources != "" {
		lines = append(lines, "  "+d.NoSources)
	}
	for _, u := range d.Updates {
		lines = append(lines, "  "+d.UpdateColumns[0]+" "+u[0]+": "+u[3], "    "+d.UpdateColumns[1]+": "+u[1], "    "+d.UpdateColumns[2]+": "+u[2])
	}
	return append(lines, "", d.Release)
}
