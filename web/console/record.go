package console

import (
	"cmp"
	"encoding/base64"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/language"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/docpdf"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/qr/image"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/verification/explain"
	"github.com/sanad-id/sanad/web/pocket"
	"github.com/sanad-id/sanad/work"
)

// recordRoutes are a record, what it would become and what is asked for it.
func (c *Console) recordRoutes() []route {
	if c.cfg.Work == nil {
		return nil
	}
	return []route{
		get("record", "/records/{ref}", staff.ViewRecord, c.record),
		post("record_take", "/records/{ref}/take", staff.ProposeIssue, c.take),
		post("record_ask", "/records/{ref}/ask", staff.ProposeIssue, c.ask),
		post("record_issue", "/records/{ref}/issue", staff.Issue, c.ask),
		post("record_offer", "/records/{ref}/offer", staff.Offer, c.offerRecord),
	}
}

// claimView is a claim in the words of a language.
type claimView struct {
	Label, Value string
	// Lang is the language of the value where it is known.
	Lang string
}

// formView is a form of a sheet: what it discloses and how large it is.
type formView struct {
	Name   string
	Wallet bool
	// Only says that it is the only one for wallets.
	Only    bool
	Claims  []claimView
	Version int
	Bytes   int
	// Most is the largest version that the form allows, Full how much of that is used in
	// per cent.
	Most, Full int
	// Picture is the code, as a data URL.
	Picture template.URL
}

// sheetView is a sheet as pages show it.
type sheetView struct {
	Title           string
	Kind            work.Kind
	Claims          []claimView
	Forms           []formView
	Issued, Expires time.Time
	Notes           []noteView
	// Shown is the hash of what is shown, for the form that agrees to it.
	Shown string
	// Was says that it was issued, as against what would be.
	Was bool
}

// sign makes it the sheet of what was issued, with the dates of that credential.
func (v *sheetView) sign(cs *work.Case, made string) {
	v.Was = true
	for _, k := range cs.Credentials {
		if k.ID == made {
			v.Issued, v.Expires = k.IssuedAt, k.Expires
		}
	}
}

// noteView is a value that the programme lets be left out, or what is wrong with one.
type noteView struct {
	Label, Column, Code string
}

// sheetView tells a sheet in the words of the operator's language.
func (c *Console) sheetView(r *request, s *work.Sheet) (*sheetView, error) {
	words := newClaimWords(r, s.Programme)
	v := &sheetView{
		Title: r.Lang.Pick(s.Programme.Labels), Kind: s.Kind, Claims: words.rows(s.Claims()), Issued: s.Issued, Expires: s.Expires,
		Notes: words.problems(s.Notes), Shown: base64.RawURLEncoding.EncodeToString(s.Shown[:]),
	}
	wallets := 0
	for _, f := range s.Forms {
		if f.Form.Wallet() {
			wallets++
		}
	}
	for _, f := range s.Forms {
		own := formView{Only: wallets == 1, Name: f.Form.Name, Wallet: f.Form.Wallet(), Claims: words.rows(f.Claims), Version: f.Version, Bytes: len(f.Token), Most: f.Form.MaxVersion}
		if !own.Wallet {
			own.Full = 100 * own.Version / max(own.Most, 1)
			code, err := image.Draw(f.Text, image.Level(f.Form.Level))
			if err != nil {
				return nil, away("drawing", err)
			}
			own.Picture = picture(code)
		}
		v.Forms = append(v.Forms, own)
	}
	return v, nil
}

// formName is what people call a form of a programme: those that the examples have by a
// word, others by the name that their programme gives them.
func formName(l i18n.Language, name string) string {
	if key := "work.form." + name; i18n.Has(key) {
		return l.Text(key, nil)
	}
	return name
}

// onPaper is the number of a credential as its paper has it, the id of what is no
// credential of ours.
func onPaper(id string) string {
	if !issuance.ValidID(id) {
		return id
	}
	return docpdf.Spaced(issuance.DocumentNumber(id))
}

// picture is a code as a data URL, which needs no address of its own.
func picture(code *image.Code) template.URL {
	return template.URL("data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString(code.SVG())) //nolint:gosec // of our own making
}

// claimWords are the words that a programme has for its claims.
type claimWords struct {
	r      *request
	p      *programme.Programme
	fields map[string]credential.TypeField
}

func newClaimWords(r *request, p *programme.Programme) claimWords {
	w := claimWords{r: r, p: p, fields: map[string]credential.TypeField{}}
	for _, f := range p.CredentialType().Fields {
		w.fields[f.Name] = f
	}
	return w
}

// rows are claims in words. A name in a second script gets the language that the
// credential names for it.
func (w claimWords) rows(claims credential.Claims) []claimView {
	local := ""
	for _, c := range claims {
		if f := w.claim(c.Name); f != nil && f.Person && f.Kind == programme.KindLanguage {
			if tag, err := language.Parse(explain.Plain(c.Value)); err == nil {
				local = tag.String()
			}
		}
	}
	rows := make([]claimView, 0, len(claims))
	for _, c := range claims {
		row := claimView{Label: c.Name, Value: w.value(c)}
		if f := w.claim(c.Name); f != nil {
			row.Label = w.r.Lang.Pick(f.Labels)
			if f.Person && f.Key == secondName {
				row.Lang = local
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// secondName is the key of secondaryFullName in Claim 169.
const secondName = 19

func (w claimWords) claim(name string) *programme.Claim {
	i := slices.IndexFunc(w.p.Claims, func(c programme.Claim) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return &w.p.Claims[i]
}

// value is a claim's value in words, as verifiers show it.
func (w claimWords) value(c credential.Claim) string {
	f := w.fields[c.Name]
	return explain.InWords(w.r.Lang, f.Kind, c.Value, f.Values)
}

// problems are notes and refusals in words.
func (w claimWords) problems(list []programme.Problem) []noteView {
	var all []noteView
	for _, p := range list {
		v := noteView{Column: p.Column, Code: p.Code}
		if f := w.claim(p.Claim); f != nil {
			v.Label = w.r.Lang.Pick(f.Labels)
		}
		all = append(all, v)
	}
	return all
}

// credentialView is a credential as pages show it.
type credentialView struct {
	issuance.Credential
	Number string
	// Parts are how many copies in wallets share its fate.
	Parts int
	// CanSuspend says that its programme has suspension.
	CanSuspend bool
	ReasonKey  string
}

// caseView is a case as pages show it.
type caseView struct {
	*work.Case
	Title       string
	Names       []nameView
	Born        string
	Credentials []credentialView
	Twins       []foundView
	Problems    []noteView
	// Wallet says that the programme has a form for wallets, Locked that something is
	// open that has to end first.
	Wallet, Locked bool
}

func (c *Console) caseView(r *request, cs *work.Case) *caseView {
	f := cs.Describe(c.cfg.Work)
	v := &caseView{Case: cs, Title: r.Lang.Pick(cs.Programme.Labels), Names: names(f), Born: born(r, f), Locked: cs.Open != nil}
	for _, k := range slices.Backward(cs.Credentials) {
		if k.PartOf == "" {
			v.Credentials = append(v.Credentials, credentialView{k, issuance.DocumentNumber(k.ID), len(cs.Parts(k.ID)), cs.Programme.Status.Suspend, reasonOf(k.Reason)})
		}
	}
	for _, t := range cs.Twins {
		v.Twins = append(v.Twins, newFoundView(r, t))
	}
	if cs.Refused != nil {
		v.Problems = newClaimWords(r, cs.Programme).problems(cs.Refused.Problems)
	}
	v.Wallet = slices.ContainsFunc(cs.Programme.Forms, func(f programme.Form) bool { return f.Wallet() })
	return v
}

// names are the names of a record, each with the language of its script.
func names(f work.Found) []nameView {
	var all []nameView
	for _, n := range f.Names {
		all = append(all, nameView{n.Text, cmp.Or(n.Language, scriptLanguage(n.Text))})
	}
	return all
}

// born is a date of birth in words, as far as the registry knows it.
func born(r *request, f work.Found) string {
	text, _ := r.Lang.Known(f.Born)
	return text
}

// scriptLanguage is a language that is written in the script of a text: enough for a
// screen reader to choose a voice, and for a browser to choose a font.
func scriptLanguage(s string) string {
	for _, r := range s {
		for lang, table := range scriptLanguages {
			if unicode.Is(table, r) {
				return lang
			}
		}
	}
	return ""
}

var scriptLanguages = map[string]*unicode.RangeTable{
	"bn": unicode.Bengali, "ar": unicode.Arabic, "hi": unicode.Devanagari, "am": unicode.Ethiopic, "km": unicode.Khmer, "lo": unicode.Lao,
	"el": unicode.Greek, "ru": unicode.Cyrillic,
}

// lineView is a line of a timeline in words.
type lineView struct {
	work.Line
	Key string
	// By is the name of whoever did it, "" if no person did.
	By string
	// ReasonKey is the key of the reason's sentence.
	ReasonKey string
}

// lines is the timeline of a case.
func (c *Console) lines(r *request, cs *work.Case) ([]lineView, error) {
	all, err := c.cfg.Work.Timeline(r.Context(), r.Operator, cs)
	if err != nil {
		return nil, workError(err)
	}
	var views []lineView
	for _, l := range slices.Backward(all) {
		v := lineView{Line: l, Key: "work.deed." + strings.ReplaceAll(l.Deed, ".", "_"), By: c.whoDid(r, l)}
		if l.Reason != "" {
			v.ReasonKey = reasonKey(l.Reason)
		}
		views = append(views, v)
	}
	return views, nil
}

// whoDid is the name of who did what a line says. An account of the server that is
// nobody of the office is named as such.
func (c *Console) whoDid(r *request, l work.Line) string {
	name := c.nameOf(r, l.Actor)
	if l.Item == "" && name != "" && name == l.Actor && !strings.HasPrefix(name, "op-") {
		return r.Lang.Text("work.timeline.command", map[string]string{"name": name})
	}
	return name
}

// reasonOf is the key of a credential's reason, "" if there is none.
func reasonOf(r issuance.Reason) string {
	if r == "" {
		return ""
	}
	return reasonKey(string(r))
}

// reasonKey is the key of the sentence for a reason or a problem.
func reasonKey(code string) string {
	if code == string(issuance.Other) {
		code = "other_reason" // "other" would be a plural form
	}
	for _, prefix := range []string{"work.reason.", "work.problem.", "work.code."} {
		if key := prefix + code; i18n.Has(key) {
			return key
		}
	}
	return "work.problem.refused"
}

// recordPage is what page/record.html shows.
type recordPage struct {
	Case  *caseView
	Sheet *sheetView
	Lines []lineView
	// Reasons are those for which a credential is replaced.
	Reasons []option
}

// record shows a record and what it would become.
func (c *Console) record(w http.ResponseWriter, r *request) error { return c.drawRecord(w, r, nil) }

func (c *Console) drawRecord(w http.ResponseWriter, r *request, f *form) error {
	cs, err := c.cfg.Work.Case(r.Context(), r.Operator, r.PathValue("ref"))
	if err != nil {
		return workError(err)
	}
	data := recordPage{Case: c.caseView(r, cs), Reasons: reasons(r)}
	if cs.Sheet != nil {
		if data.Sheet, err = c.sheetView(r, cs.Sheet); err != nil {
			return err
		}
	}
	if data.Lines, err = c.lines(r, cs); err != nil {
		return err
	}
	return c.renderForm(w, r, http.StatusOK, "record", f, data)
}

// reasons are the reasons that an operator may give, in words.
func reasons(r *request) []option {
	var all []option
	for _, reason := range issuance.Reasons() {
		all = append(all, option{Value: string(reason), Label: r.Lang.Text(reasonKey(string(reason)), nil)})
	}
	return all
}

// take puts a record among those to be checked.
func (c *Console) take(w http.ResponseWriter, r *request) error {
	ref := r.PathValue("ref")
	if _, err := c.cfg.Work.Take(r.Context(), r.Operator, ref); err != nil {
		return workError(err)
	}
	return c.seeOther(w, r, "/records/"+ref, "work.notice.taken")
}

// ask asks for approval, or issues at once where one person is enough.
func (c *Console) ask(w http.ResponseWriter, r *request) error {
	f, err := r.readForm()
	if err != nil {
		return err
	}
	shown, ok := readDigest(f.Get("shown"))
	if !ok {
		return work.ErrChanged
	}
	a := work.Ask{Ref: r.PathValue("ref"), Shown: shown, Reason: issuance.Reason(f.Get("reason"))}
	cs, err := c.cfg.Work.Case(r.Context(), r.Operator, a.Ref)
	if err != nil {
		return workError(err)
	}
	if cs.Sheet != nil && cs.Sheet.Kind == work.Replace && a.Reason == "" {
		f.fail("reason", "work.reason.missing")
		return c.drawRecord(w, r, f)
	}
	if !cs.TwoPersons && r.route.Action != staff.Issue {
		return work.ErrState // signing needs the passkey, and another address
	}
	i, err := c.cfg.Work.Ask(r.Context(), r.Operator, a)
	if err != nil {
		return workError(err)
	}
	notice := "work.notice.asked"
	if i.State == work.Agreed {
		if i, err = c.runNow(r, i); err != nil {
			return workError(err)
		}
		notice = "work.notice.approved"
	}
	return c.seeOther(w, r, "/items/"+i.ID, notice)
}

// offerPage is what page/offer.html shows.
type offerPage struct {
	Link    template.URL
	Text    string
	Pocket  template.URL // "" without the page
	Code    string
	Picture template.URL
	Expires time.Time
	Back    string
}

// offerRecord hands out an offer for a credential that is active.
func (c *Console) offerRecord(w http.ResponseWriter, r *request) error {
	f, err := r.readForm()
	if err != nil {
		return err
	}
	ref := r.PathValue("ref")
	o, err := c.cfg.Work.OfferFor(r.Context(), r.Operator, ref, f.Get("form"), f.Get("code") != "")
	if err != nil {
		return workError(err)
	}
	return c.drawOffer(w, r, o, "/records/"+ref)
}

// drawOffer shows an offer. It is shown once: the page is the answer to the form and is
// kept by nobody.
func (c *Console) drawOffer(w http.ResponseWriter, r *request, o work.Offer, back string) error {
	code, err := image.Draw(o.Link, image.M)
	if err != nil {
		return away("drawing", err)
	}
	var page string
	if c.cfg.Pocket != "" {
		page = pocket.Link(c.cfg.Pocket, o.Link)
	}
	return c.render(w, r, http.StatusOK, "offer", offerPage{
		Pocket: template.URL(page),                                                                                              //nolint:gosec // of our own making
		Link:   template.URL(o.Link), Text: o.Link, Code: o.Code, Picture: picture(code), Expires: o.Expires, Back: Base + back, //nolint:gosec // of our own making
	})
}
