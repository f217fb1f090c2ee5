package programme

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sanad-id/sanad/programme/crosswalk"
)

// An expression gets the text of a claim out of a record. Empty text means that
// the record has no value.
type expression interface {
	// text returns the text, or a problem and no text.
	text(m *mapping) (string, *trouble)
	// columns returns the columns that the expression reads.
	columns() []string
}

// A trouble is a problem before it is known which claim it concerns.
type trouble struct {
	column, code, detail string
	// loss says that the programme may allow it (on_loss); near is then the
	// nearest value that can be said, nil if there is none.
	loss bool
	near any
}

// maxDepth is how deep expressions stand in each other.
const maxDepth = 4

// copied is the text of one column.
type copied struct {
	column   string
	lines    string // stands for a line break; "" if none is allowed
	optional bool   // the source may be without this column
}

func (e copied) columns() []string { return []string{e.column} }

func (e copied) text(m *mapping) (string, *trouble) {
	s, ok := m.record.Value(e.column)
	if !ok && e.optional {
		return "", nil
	}
	if !ok {
		return "", &trouble{column: e.column, code: CodeUnknownColumn,
			detail: "the source has no such column" + meant(e.column, m.record.Columns().Names())}
	}
	s = strings.TrimSpace(s)
	if len(m.programme.Records.empty) > 0 && m.programme.Records.empty[s] {
		return "", nil
	}
	if e.lines != "" && strings.ContainsAny(s, "\r\n") {
		s = joinLines(s, e.lines)
	}
	return s, nil
}

// joinLines puts with in the place of line breaks and empty lines.
func joinLines(s, with string) string {
	var lines []string
	for line := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == '\n' || r == '\r' }) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, with)
}

// constant is the same text for every record.
type constant string

func (e constant) columns() []string                { return nil }
func (e constant) text(*mapping) (string, *trouble) { return string(e), nil }

// joined is several texts one behind the other, without the empty ones.
type joined struct {
	parts []expression
	with  string
}

func (e joined) columns() []string { return columnsOf(e.parts) }

func (e joined) text(m *mapping) (string, *trouble) {
	var buf [8]string
	texts, size := buf[:0], 0
	for _, p := range e.parts {
		s, t := p.text(m)
		if t != nil {
			return "", t
		}
		if s != "" {
			texts, size = append(texts, s), size+len(s)+len(e.with)
		}
	}
	switch len(texts) {
	case 0:
		return "", nil
	case 1:
		return texts[0], nil
	}
	var b strings.Builder
	b.Grow(size)
	for i, s := range texts {
		if i > 0 {
			b.WriteString(e.with)
		}
		b.WriteString(s)
	}
	return b.String(), nil
}

// first is the first of several texts that is not empty.
type first []expression

func (e first) columns() []string { return columnsOf(e) }

func (e first) text(m *mapping) (string, *trouble) {
	for _, p := range e {
		if s, t := p.text(m); t != nil || s != "" {
			return s, t
		}
	}
	return "", nil
}

// cut is one piece of a text that holds several.
type cut struct {
	of   expression
	at   string
	item int // from 1
}

func (e cut) columns() []string { return e.of.columns() }

func (e cut) text(m *mapping) (string, *trouble) {
	s, t := e.of.text(m)
	if t != nil {
		return "", t
	}
	for i := 1; ; i++ {
		piece, rest, more := strings.Cut(s, e.at)
		if i == e.item {
			return strings.TrimSpace(piece), nil
		}
		if !more {
			return "", nil
		}
		s = rest
	}
}

// inJSON is a value within a JSON text.
type inJSON struct {
	of   expression
	path jsonPath
}

func (e inJSON) columns() []string { return e.of.columns() }

func (e inJSON) text(m *mapping) (string, *trouble) {
	s, t := e.of.text(m)
	if t != nil || s == "" {
		return "", t
	}
	text, err := e.path.find(s)
	if err != nil {
		return "", &trouble{column: e.columns()[0], code: CodeJSON, detail: err.Error()}
	}
	return strings.TrimSpace(text), nil
}

// namePart is the given, middle or family name of a whole name.
type namePart struct {
	of    expression
	part  string
	order crosswalk.Order
}

func (e namePart) columns() []string { return e.of.columns() }

func (e namePart) text(m *mapping) (string, *trouble) {
	s, t := e.of.text(m)
	if t != nil || s == "" {
		return "", t
	}
	n, err := crosswalk.SplitName(s, e.order)
	part := map[string]string{"given": n.Given, "middle": n.Middle, "family": n.Family}[e.part]
	if err != nil {
		return "", crossTrouble(err, e.columns()[0], CodeLoss, part)
	}
	return part, nil
}

// measured is the amount or the unit of a quantity.
type measured struct {
	of    expression
	unit  bool
	units map[string]string
}

func (e measured) columns() []string { return e.of.columns() }

func (e measured) text(m *mapping) (string, *trouble) {
	s, t := e.of.text(m)
	if t != nil || s == "" {
		return "", t
	}
	q, err := crosswalk.ParseQuantity(s, e.units)
	switch {
	case err != nil:
		return "", crossTrouble(err, e.columns()[0], CodeQuantity, "")
	case e.unit:
		return q.Unit, nil
	}
	return q.Amount, nil
}

// crossTrouble makes a trouble of an error of package crosswalk. Text that
// cannot be read has the code unread, a loss the code loss; the programme may
// allow both, since either way the meaning does not come through.
func crossTrouble(err error, column, unread, near string) *trouble {
	switch e := err.(type) {
	case *crosswalk.LossError:
		t := &trouble{column: column, code: CodeLoss, detail: e.Detail, loss: true}
		if near != "" {
			t.near = near
		}
		return t
	case *crosswalk.UnreadableError:
		return &trouble{column: column, code: unread, detail: e.Detail, loss: true}
	}
	panic(fmt.Sprintf("programme: internal error: %v", err))
}

func columnsOf(list []expression) []string {
	var names []string
	for _, e := range list {
		names = append(names, e.columns()...)
	}
	return names
}

// expression reads from: of a claim, or an operand within it.
func (r *reader) expression(n *yaml.Node, path string, depth int) expression {
	if depth > maxDepth {
		r.fault(n, path, "stands %d deep; write it simpler", depth)
		return nil
	}
	if n.Kind != yaml.MappingNode {
		if s := r.text(n, path); s != "" {
			return copied{column: s}
		}
		return nil
	}
	kinds := map[string]func(*yaml.Node, string, int) expression{
		"column": r.copied, "join": r.joined, "first_of": r.first, "split": r.cut, "json": r.inJSON,
		"constant": r.constant, "name_part": r.namePart, "amount_of": r.measured, "unit_of": r.measured,
	}
	for key := range pairs(n) {
		if read, ok := kinds[key.Value]; ok {
			return read(n, path, depth)
		}
	}
	r.fault(n, path, "must be the name of a column, or have one of the keys column, join, first_of, split, json, constant, name_part, amount_of, unit_of")
	return nil
}

// operand is a field that holds an expression.
func (r *reader) operand(key string, depth int, into *expression) field {
	return field{key, true, func(n *yaml.Node, path string) { *into = r.expression(n, path, depth+1) }}
}

func (r *reader) copied(n *yaml.Node, path string, _ int) expression {
	var e copied
	r.object(n, path, []field{
		{"column", true, func(n *yaml.Node, path string) { e.column = r.text(n, path) }},
		{"lines", false, func(n *yaml.Node, path string) { e.lines = r.raw(n, path) }},
		{"optional", false, func(n *yaml.Node, path string) { e.optional = r.boolean(n, path) }},
	})
	return e
}

func (r *reader) constant(n *yaml.Node, path string, _ int) expression {
	var e constant
	r.object(n, path, []field{{"constant", true, func(n *yaml.Node, path string) { e = constant(r.text(n, path)) }}})
	return e
}

func (r *reader) joined(n *yaml.Node, path string, depth int) expression {
	e := joined{with: " "}
	r.object(n, path, []field{
		{"join", true, func(n *yaml.Node, path string) { e.parts = r.expressions(n, path, depth) }},
		{"with", false, func(n *yaml.Node, path string) { e.with = r.raw(n, path) }},
	})
	return e
}

func (r *reader) first(n *yaml.Node, path string, depth int) expression {
	var e first
	r.object(n, path, []field{{"first_of", true, func(n *yaml.Node, path string) { e = r.expressions(n, path, depth) }}})
	return e
}

func (r *reader) expressions(n *yaml.Node, path string, depth int) []expression {
	var list []expression
	r.list(n, path, false, func(n *yaml.Node, path string) {
		if e := r.expression(n, path, depth+1); e != nil {
			list = append(list, e)
		}
	})
	if len(list) > 20 {
		r.fault(n, path, "has more than 20 parts")
	}
	return list
}

func (r *reader) cut(n *yaml.Node, path string, depth int) expression {
	e := cut{item: 1}
	r.object(n, path, []field{
		r.operand("split", depth, &e.of),
		{"at", true, func(n *yaml.Node, path string) { e.at = r.raw(n, path) }},
		{"item", true, func(n *yaml.Node, path string) { e.item = int(r.integer(n, path, 1, 100)) }},
	})
	return r.whole(n, path, e.of, e)
}

func (r *reader) inJSON(n *yaml.Node, path string, depth int) expression {
	var e inJSON
	r.object(n, path, []field{
		r.operand("json", depth, &e.of),
		{"path", true, func(n *yaml.Node, path string) {
			var err error
			if e.path, err = parseJSONPath(r.text(n, path)); err != nil {
				r.fault(n, path, "%v", err)
			}
		}},
	})
	return r.whole(n, path, e.of, e)
}

func (r *reader) namePart(n *yaml.Node, path string, depth int) expression {
	e := namePart{order: crosswalk.GivenFirst}
	r.object(n, path, []field{
		{"name_part", true, func(n *yaml.Node, path string) { e.part = r.choice(n, path, "given", "middle", "family") }},
		r.operand("of", depth, &e.of),
		{"order", false, func(n *yaml.Node, path string) {
			e.order = crosswalk.Order(r.choice(n, path, string(crosswalk.GivenFirst), string(crosswalk.FamilyFirst)))
		}},
	})
	return r.whole(n, path, e.of, e)
}

func (r *reader) measured(n *yaml.Node, path string, depth int) expression {
	var e measured
	key := "amount_of"
	for k := range pairs(n) {
		if k.Value == "unit_of" {
			key, e.unit = "unit_of", true
		}
	}
	r.object(n, path, []field{
		r.operand(key, depth, &e.of),
		{"units", false, func(n *yaml.Node, path string) { e.units = r.words(n, path, nil) }},
	})
	return r.whole(n, path, e.of, e)
}

// whole returns e if its operand could be read and reads a column.
func (r *reader) whole(n *yaml.Node, path string, of, e expression) expression {
	switch {
	case of == nil:
		return nil
	case len(of.columns()) == 0:
		r.fault(n, path, "reads no column; a constant needs no working on")
		return nil
	}
	return e
}

// raw reads a text in which spaces count, such as a separator.
func (r *reader) raw(n *yaml.Node, path string) string {
	if n.Kind != yaml.ScalarNode || isNull(n) || n.Value == "" || len(n.Value) > 20 {
		r.fault(n, path, "must be a text of one to twenty characters in quotes, such as \", \"")
		return ""
	}
	if _, code, detail := clean(n.Value); code != "" {
		r.fault(n, path, "%s", detail)
		return ""
	}
	return n.Value
}

// words reads meanings with the words that stand for them (meaning: [word,
// word]) and returns the meaning of each word in lower case. If meanings is not
// nil, it says what a meaning must be, or returns "".
func (r *reader) words(n *yaml.Node, path string, meanings func(string) string) map[string]string {
	m := map[string]string{}
	r.entries(n, path, func(key string, k, v *yaml.Node, path string) {
		if meanings != nil {
			if want := meanings(key); want != "" {
				r.fault(k, path, "%q is not %s", clip(key), want)
				return
			}
		}
		r.list(v, path, true, func(n *yaml.Node, path string) {
			w := strings.ToLower(r.text(n, path))
			if old, ok := m[w]; ok && w != "" {
				r.fault(n, path, "%q already means %s", clip(w), old)
			}
			m[w] = key
		})
	})
	delete(m, "")
	return m
}
