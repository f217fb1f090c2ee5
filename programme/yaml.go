package programme

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	maxFile  = 128 << 10
	maxNodes = 20000
)

// A reader walks the nodes of a file and collects what is wrong with them, so
// that a person learns of every fault at once.
type reader struct{ faults Faults }

func (r *reader) add(f Fault) {
	if len(r.faults) < maxFaults {
		r.faults = append(r.faults, f)
	}
}

func (r *reader) fault(n *yaml.Node, path, format string, args ...any) {
	f := Fault{Path: path, Detail: fmt.Sprintf(format, args...)}
	if n != nil {
		f.Line, f.Column = n.Line, n.Column
	}
	r.add(f)
}

// at is where a value stands in the file, for faults that are found later.
type at struct {
	node *yaml.Node
	path string
}

func (r *reader) faultAt(a at, format string, args ...any) { r.fault(a.node, a.path, format, args...) }

// document returns the one document of a file as a tree, or nil after a fault.
func (r *reader) document(b []byte) *yaml.Node {
	switch {
	case len(b) > maxFile:
		r.add(Fault{Detail: fmt.Sprintf("the file has %d bytes; a programme has at most %d", len(b), maxFile)})
		return nil
	case !utf8.Valid(b):
		r.add(Fault{Detail: "the file is not UTF-8; save it in that encoding"})
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		r.add(Fault{Detail: "the file is empty"})
		return nil
	case err != nil:
		r.add(syntaxFault(err))
		return nil
	}
	switch err := dec.Decode(&more); {
	case errors.Is(err, io.EOF):
	case err != nil:
		r.add(syntaxFault(err))
		return nil
	default:
		r.fault(&more, "", "a second document begins here; one file is one programme, remove the line ---")
		return nil
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		r.add(Fault{Detail: "the file is empty"})
		return nil
	}
	if !r.plain(doc.Content[0]) {
		return nil
	}
	return doc.Content[0]
}

// plain says that the tree has no anchors, aliases and tags, and is not larger
// than any programme. Aliases are not followed, so that the work is bounded by
// the size of the file.
func (r *reader) plain(root *yaml.Node) bool {
	count, ok := 0, true
	var visit func(n *yaml.Node)
	visit = func(n *yaml.Node) {
		if count++; count > maxNodes {
			return
		}
		switch {
		case n.Kind == yaml.AliasNode || n.Anchor != "":
			r.fault(n, "", "anchors (&name) and aliases (*name) are not used in programme files; write the text out")
			ok = false
		case n.Style&yaml.TaggedStyle != 0:
			r.fault(n, "", "tags (!name) are not used in programme files; put text that begins with ! in quotes")
			ok = false
		}
		if n.Kind == yaml.AliasNode {
			return
		}
		for _, c := range n.Content {
			visit(c)
		}
	}
	visit(root)
	if count > maxNodes {
		r.add(Fault{Detail: fmt.Sprintf("the file has more than %d values", maxNodes)})
		return false
	}
	return ok
}

var syntaxLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// syntaxFault makes a fault of an error of the YAML library.
func syntaxFault(err error) Fault {
	text := err.Error()
	m := syntaxLine.FindStringSubmatch(text)
	if m == nil {
		return Fault{Detail: text}
	}
	line, _ := strconv.Atoi(m[1])
	return Fault{Line: line, Detail: strings.TrimPrefix(text, m[0]) + "; check spaces, colons and quotes here and in the line before"}
}

// A field is one key of a mapping and what reads its value.
type field struct {
	key      string
	required bool
	read     func(n *yaml.Node, path string)
}

// object reads a mapping with these keys and no others.
func (r *reader) object(n *yaml.Node, path string, fields []field) {
	if n.Kind != yaml.MappingNode {
		r.fault(n, path, "must be keys and values (key: value), not %s", kindWord(n))
		return
	}
	known := make([]string, len(fields))
	for i, f := range fields {
		known[i] = f.key
	}
	seen := map[string]bool{}
	for key, value := range pairs(n) {
		if key.Kind != yaml.ScalarNode {
			r.fault(key, path, "a key must be a word")
			continue
		}
		if seen[key.Value] {
			r.fault(key, path, "%q stands here a second time; remove one", clip(key.Value))
			continue
		}
		seen[key.Value] = true
		found := false
		for _, f := range fields {
			if f.key == key.Value {
				found = true
				f.read(value, join(path, f.key))
			}
		}
		if !found {
			hint := meant(key.Value, known)
			if hint == "" {
				hint = "; known are " + strings.Join(known, ", ")
			}
			r.fault(key, path, "%q is not known here%s", clip(key.Value), hint)
		}
	}
	for _, f := range fields {
		if f.required && !seen[f.key] {
			r.fault(n, path, "%q is missing", f.key)
		}
	}
}

// pairs yields the keys and values of a mapping.
func pairs(n *yaml.Node) func(func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i], n.Content[i+1]) {
				return
			}
		}
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// kindWord says what a node is, for a person.
func kindWord(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "keys and values"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "nothing"
	}
	return fmt.Sprintf("%q", clip(n.Value))
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// text reads a value as the text that stands in the file, so that 010 stays 010
// and yes stays yes.
func (r *reader) text(n *yaml.Node, path string) string {
	if n.Kind != yaml.ScalarNode || isNull(n) {
		r.fault(n, path, "must be a text, not %s", kindWord(n))
		return ""
	}
	s, code, detail := clean(n.Value)
	if code != "" {
		r.fault(n, path, "%s", detail)
		return ""
	}
	if s == "" {
		r.fault(n, path, "is empty; write something or remove the line")
	}
	return s
}

// word reads a text that matches a pattern.
func (r *reader) word(n *yaml.Node, path string, pattern *regexp.Regexp, what string) string {
	s := r.text(n, path)
	if s != "" && !pattern.MatchString(s) {
		r.fault(n, path, "%q is not %s", clip(s), what)
		return ""
	}
	return s
}

// choice reads one of a few words.
func (r *reader) choice(n *yaml.Node, path string, words ...string) string {
	s := r.text(n, path)
	for _, w := range words {
		if s == w {
			return s
		}
	}
	if s != "" {
		r.fault(n, path, "%q is not one of %s%s", clip(s), strings.Join(words, ", "), meant(s, words))
	}
	return ""
}

// boolean reads true or false.
func (r *reader) boolean(n *yaml.Node, path string) bool {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!bool" && (n.Value == "true" || n.Value == "false") {
		return n.Value == "true"
	}
	r.fault(n, path, "must be true or false, not %s", kindWord(n))
	return false
}

var wholeNumber = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,14})$`)

// integer reads a whole number from low to high.
func (r *reader) integer(n *yaml.Node, path string, low, high int64) int64 {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" || !wholeNumber.MatchString(n.Value) {
		r.fault(n, path, "must be a whole number, not %s", kindWord(n))
		return low
	}
	v, err := strconv.ParseInt(n.Value, 10, 64)
	if err != nil || v < low || v > high {
		r.fault(n, path, "must be a whole number from %d to %d", low, high)
		return low
	}
	return v
}

// list reads a sequence; where single is set, one value stands for a list of one.
func (r *reader) list(n *yaml.Node, path string, single bool, read func(n *yaml.Node, path string)) {
	if single && n.Kind != yaml.SequenceNode {
		read(n, path)
		return
	}
	if n.Kind != yaml.SequenceNode {
		r.fault(n, path, "must be a list (- item, or [item, item]), not %s", kindWord(n))
		return
	}
	if len(n.Content) == 0 {
		r.fault(n, path, "is empty; write something or remove the line")
	}
	for i, c := range n.Content {
		read(c, fmt.Sprintf("%s[%d]", path, i+1))
	}
}

// texts reads a list of texts.
func (r *reader) texts(n *yaml.Node, path string) []string {
	var list []string
	r.list(n, path, true, func(n *yaml.Node, path string) {
		if s := r.text(n, path); s != "" {
			list = append(list, s)
		}
	})
	return list
}

// entries reads a mapping whose keys the author chooses.
func (r *reader) entries(n *yaml.Node, path string, read func(key string, k, v *yaml.Node, path string)) {
	if n.Kind != yaml.MappingNode {
		r.fault(n, path, "must be keys and values (key: value), not %s", kindWord(n))
		return
	}
	seen := map[string]bool{}
	for k, v := range pairs(n) {
		key := r.text(k, path)
		if key == "" {
			continue
		}
		if seen[key] {
			r.fault(k, path, "%q stands here a second time; remove one", clip(key))
			continue
		}
		seen[key] = true
		read(key, k, v, join(path, key))
	}
}
