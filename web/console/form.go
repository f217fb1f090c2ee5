package console

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sanad-id/sanad/internal/web"
)

// A form is what a person typed, and what is wrong with it.
type form struct {
	values url.Values
	wrong  []mistake
}

// A mistake stands at the top of the page and beside its field.
type mistake struct {
	// Field is the name of the field.
	Field string
	// Key is that of the sentence, Pairs fill its holes.
	Key   string
	Pairs []any
}

// blank is a form that nobody has filled in, with values to begin with in pairs.
func blank(pairs ...string) *form {
	f := &form{values: url.Values{}}
	for i := 0; i+1 < len(pairs); i += 2 {
		f.values.Add(pairs[i], pairs[i+1])
	}
	return f
}

// readForm reads the body. Fields may occur several times, as ticked boxes do.
func (r *request) readForm() (*form, error) {
	b, err := web.Body(r.Request)
	if err != nil {
		return nil, err
	}
	const most = 512
	v, err := url.ParseQuery(string(b))
	if err != nil || strings.Count(string(b), "&") > most {
		return nil, web.Refuse(400, "bad_form", "the body is not a form")
	}
	for name, all := range v {
		for _, s := range append(all, name) {
			if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
				return nil, web.Refuse(400, "bad_form", "the form is not text")
			}
		}
	}
	return &form{values: v}, nil
}

// Get is the value of a field, without spaces around it.
func (f *form) Get(name string) string {
	if f == nil {
		return ""
	}
	return strings.TrimSpace(f.values.Get(name))
}

// All are the values of a field that can have several.
func (f *form) All(name string) []string {
	if f == nil {
		return nil
	}
	return f.values[name]
}

// text is the value of a field that must be there and have at most so many characters.
// If not it adds the mistake that says so.
func (f *form) text(name string, most int) string {
	s := f.Get(name)
	switch {
	case s == "":
		f.fail(name, "console.form.empty")
	case utf8.RuneCountInString(s) > most:
		f.fail(name, "console.form.long", "most", most)
	}
	return s
}

// fail adds a mistake.
func (f *form) fail(field, key string, pairs ...any) {
	f.wrong = append(f.wrong, mistake{field, key, pairs})
}

// OK reports whether nothing is wrong.
func (f *form) OK() bool { return f == nil || len(f.wrong) == 0 }

// Wrong are the mistakes.
func (f *form) Wrong() []mistake {
	if f == nil {
		return nil
	}
	return f.wrong
}

// mistake returns that of a field, or nil.
func (f *form) mistake(name string) *mistake {
	if f == nil {
		return nil
	}
	for i := range f.wrong {
		if f.wrong[i].Field == name {
			return &f.wrong[i]
		}
	}
	return nil
}

// An option is one of several to choose from. Label is a text and not a key.
type option struct {
	Value, Label, Hint string
}

// A field is what the parts "field", "textarea", "select", "radios" and "boxes" draw.
type field struct {
	ID, Name, Label, Hint                         string
	Type, Autocomplete, Inputmode, Width, Pattern string
	// Lang and Dir are those of what is typed, where they are not the page's.
	Lang, Dir string
	Max       int
	Value     string
	Values    []string
	Options   []option
	Mistake   *mistake
	Optional  bool
}

// choices are a field whose options all show, as radio buttons or boxes.
type choices struct {
	Field *field
	Kind  string
}

// Has reports whether an option is chosen.
func (f *field) Has(value string) bool {
	return slices.Contains(f.Values, value)
}

// Described names what says more about the field, for screen readers.
func (f *field) Described() string {
	var ids []string
	if f.Hint != "" {
		ids = append(ids, f.ID+"-hint")
	}
	if f.Mistake != nil {
		ids = append(ids, f.ID+"-error")
	}
	return strings.Join(ids, " ")
}

// newField makes a field of the form of a view: its name, the key of its label and
// pairs: hint (a key), type, autocomplete, inputmode, width (of 2, 4, 10, 20), pattern,
// lang, dir, max (int), options ([]option), optional (bool).
func newField(v *view, name, label string, pairs ...any) (*field, error) {
	f := &field{ID: "f-" + name, Name: name, Label: label, Type: "text", Autocomplete: "off", Value: v.Form.Get(name), Values: v.Form.All(name), Mistake: v.Form.mistake(name)}
	texts := map[string]*string{
		"hint": &f.Hint, "type": &f.Type, "autocomplete": &f.Autocomplete, "inputmode": &f.Inputmode, "width": &f.Width, "pattern": &f.Pattern,
		"lang": &f.Lang, "dir": &f.Dir,
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		key, _ := pairs[i].(string)
		switch x := pairs[i+1].(type) {
		case string:
			if texts[key] == nil {
				return nil, fmt.Errorf("console: internal error: a field has no %q", key)
			}
			*texts[key] = x
		case int:
			f.Max = x
		case []option:
			f.Options = x
		case bool:
			f.Optional = x
		default:
			return nil, fmt.Errorf("console: internal error: %q of a field is a %T", key, x)
		}
	}
	return f, nil
}
