package console

import (
	"bytes"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/staff"
)

//go:embed page/*.html
var pageFiles embed.FS

// A view is what a template sees: {{.}} in a page. What the handler gave is .Data.
type view struct {
	Data any
	// Form is what was typed and what is wrong with it; nil on pages without.
	Form *form

	Operator staff.Operator
	Office   staff.Office
	Lang     i18n.Language
	// Path is the address of the page, for the way back from the language menu.
	Path string
	// Issuer is the name of the registrar.
	Issuer string
	// Nav are the parts that the operator may open.
	Nav []navItem
	// Notice is the key of a sentence that the last change left.
	Notice string
	// Help says whom to ask.
	Help string
	// Languages are all, for the menu.
	Languages []i18n.Language

	route *route
}

type navItem struct {
	Key, Path string
	Here      bool
	// Count is how much waits there, 0 if nothing does or nobody knows.
	Count int
}

// May asks the table: {{if .May "issue" "approved"}}. A state may be left out.
func (v *view) May(a staff.Action, s ...staff.State) bool {
	state := staff.None
	if len(s) > 0 {
		state = s[0]
	}
	return v.Operator.May(a, state)
}

// MayEver asks whether there is a state in which the operator may.
func (v *view) MayEver(a staff.Action) bool { return v.Operator.MayEver(a) }

// SignedIn reports whether somebody is.
func (v *view) SignedIn() bool { return v.Operator.ID != "" }

// parsePages reads each page with the layout and the parts around it.
func parsePages() (map[string]*template.Template, error) {
	functions := functionsFor(i18n.Language{}, time.UTC)
	base, err := template.New("layout").Funcs(functions).ParseFS(pageFiles, "page/layout.html", "page/parts.html", "page/work_parts.html")
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	names, err := fs.Glob(pageFiles, "page/*.html")
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	pages := map[string]*template.Template{}
	for _, file := range names {
		name := strings.TrimSuffix(path.Base(file), ".html")
		if name == "layout" || strings.HasSuffix(name, "parts") {
			continue
		}
		t, err := base.Clone()
		if err == nil {
			t, err = t.ParseFS(pageFiles, file)
		}
		if err != nil {
			return nil, fmt.Errorf("console: %w", err)
		}
		if t.Lookup("title") == nil || t.Lookup("main") == nil {
			return nil, fmt.Errorf("console: page %s does not define title and main", name)
		}
		pages[name] = t
	}
	return pages, nil
}

// A drawing is a page in a language, which is made once.
type drawing struct {
	page string
	lang i18n.Language
}

func (c *Console) drawing(page string, lang i18n.Language) (*template.Template, error) {
	if t, ok := c.drawn.Load(drawing{page, lang}); ok {
		return t.(*template.Template), nil
	}
	p, ok := c.pages[page]
	if !ok {
		return nil, fmt.Errorf("console: internal error: no page %s", page)
	}
	t, err := p.Clone()
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	kept, _ := c.drawn.LoadOrStore(drawing{page, lang}, t.Funcs(functionsFor(lang, c.cfg.Zone)))
	return kept.(*template.Template), nil
}

// render draws page/NAME.html inside the layout. data is .Data there.
func (c *Console) render(w http.ResponseWriter, r *request, status int, page string, data any) error {
	return c.renderForm(w, r, status, page, nil, data)
}

// renderForm draws a page with a form. One that is wrong is 422 if status is 200.
func (c *Console) renderForm(w http.ResponseWriter, r *request, status int, page string, f *form, data any) error {
	if status == http.StatusOK && f != nil && !f.OK() {
		status = http.StatusUnprocessableEntity
	}
	t, err := c.drawing(page, r.Lang)
	if err != nil {
		return err
	}
	v := &view{
		Data: data, Form: f, Operator: r.Operator, Office: r.Office, Lang: r.Lang, Path: r.URL.RequestURI(), Issuer: r.Lang.Pick(c.cfg.Names), Help: c.cfg.Help,
		Languages: i18n.Languages(), route: r.route, Nav: c.nav(r),
	}
	if status == http.StatusOK {
		if v.Notice, err = c.notice(w, r); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "layout", v); err != nil {
		return fmt.Errorf("draw %s: %w", page, err)
	}
	w.Header().Set("Content-Language", r.Lang.Tag())
	web.Write(w, status, "text/html; charset=utf-8", b.Bytes())
	return nil
}

// nav are the rows with a name that the operator may open.
func (c *Console) nav(r *request) []navItem {
	var all []navItem
	if r.Operator.ID == "" {
		return nil
	}
	for i := range c.routes {
		row := &c.routes[i]
		if row.Nav == "" || !r.Operator.MayEver(row.Action) {
			continue
		}
		path := strings.TrimSuffix(row.Pattern, "{$}")
		here := r.URL.Path == path || path != Base+"/" && strings.HasPrefix(r.URL.Path, path+"/")
		all = append(all, navItem{row.Nav, path, here, c.atWork(r, row)})
	}
	return all
}

// functionsFor are what templates can call.
//
//	{{t "key"}} {{t "key" "name" value}}   a sentence, with holes
//	{{tb "key" "name" value}}              the same, values in <bdi>; not in attributes
//	{{count "key" n}}                      a sentence in the plural form of n
//	{{date time}} {{datetime time}} {{clock time}} {{number n}} {{bdi text}} {{iso time}}
//	{{onPaper id}}                         the number of a credential as its paper has it
//	{{formName name}} {{languageName tag}} what people call them
//	{{asset "console.css"}}                the address of a static file
//	{{template "field" (field . "name" "label.key" "hint" "hint.key" "type" "text")}}
func functionsFor(l i18n.Language, zone *time.Location) template.FuncMap {
	return template.FuncMap{
		"t": func(key string, pairs ...any) (string, error) {
			args, err := holes(l, pairs, func(s string) string { return s })
			return l.Text(key, args), err
		},
		"tb": func(key string, pairs ...any) (template.HTML, error) {
			return sentence(l, key, pairs)
		},
		"count":  l.Count,
		"number": func(n any) string { return localNumber(l, n) },
		"date": localTime(zone, func(t time.Time) string {
			y, m, d := t.Date()
			return l.Date(time.Date(y, m, d, 0, 0, 0, 0, time.UTC))
		}),
		"datetime": localTime(zone, l.DateTime),
		"clock":    localTime(zone, l.Clock),
		"bdi":      bdi,
		"onPaper":  onPaper,
		"formName": func(name string) string { return formName(l, name) },
		"languageName": func(tag string) string {
			if name, ok := l.Coded(tag); ok {
				return name
			}
			return tag
		},
		"asset":  assetPath,
		"field":  newField,
		"choice": func(f *field, kind string) choices { return choices{f, kind} },
		"mistake": func(m mistake) (string, error) {
			args, err := holes(l, m.Pairs, func(s string) string { return s })
			return l.Text(m.Key, args), err
		},
		"age":  l.Age,
		"iso":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"join": strings.Join,
		"b64":  base64.RawURLEncoding.EncodeToString,
	}
}

// bdi keeps a text of unknown script from reordering what is around it.
func bdi(text any) template.HTML {
	return template.HTML("<bdi>" + template.HTMLEscapeString(fmt.Sprint(text)) + "</bdi>") //nolint:gosec // escaped
}

// holes are the values of a sentence, given in pairs of name and value.
func holes(l i18n.Language, pairs []any, as func(string) string) (map[string]string, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("console: internal error: %d words are no pairs", len(pairs))
	}
	args := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("console: internal error: the name of a hole is a %T", pairs[i])
		}
		value := fmt.Sprint(pairs[i+1])
		switch n := pairs[i+1].(type) {
		case int, int64:
			value = localNumber(l, n)
		case template.HTML:
			args[name] = string(n)
			continue
		}
		args[name] = as(value)
	}
	return args, nil
}

// sentence is one with its values in <bdi>. Both are escaped.
func sentence(l i18n.Language, key string, pairs []any) (template.HTML, error) {
	args, err := holes(l, pairs, func(s string) string { return string(bdi(s)) })
	if err != nil {
		return "", err
	}
	escaped := template.HTMLEscapeString(l.Text(key, nil))
	for name, value := range args {
		escaped = strings.ReplaceAll(escaped, "{"+name+"}", value)
	}
	return template.HTML(escaped), nil //nolint:gosec // escaped
}

// localNumber is n in the digits of the language.
func localNumber(l i18n.Language, n any) string {
	switch n := n.(type) {
	case int:
		return l.Quantity(n)
	case int64:
		return l.Quantity(int(n))
	}
	return fmt.Sprint(n)
}

// localTime writes a moment as it is in the zone of the console; nothing for none.
func localTime(zone *time.Location, write func(time.Time) string) func(time.Time) string {
	return func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return write(t.In(zone))
	}
}
