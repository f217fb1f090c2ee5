// Package strictyaml reads a YAML text into a struct, as every file of an operator is read but
// programmes, which have a reader that knows more of them. A member that the struct does not
// have is refused, in words for who wrote the file.
//
// The text is looked through before go.yaml.in/yaml/v3 decodes it. That library compares each
// key of a mapping with each other, and tells of every pair that is alike: a gigabyte of words
// about a file of 64 KiB (promise P16).
package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// MaxMembers is the most members of a mapping in a file from somebody else, MaxSettings in
// settings, which may list every relying party of a country.
const (
	MaxMembers  = 256
	MaxSettings = 10000
)

// Decode reads the one document of a text into the struct that into points to. It refuses a
// text that is malformed or has a second document, and a mapping with a key twice, with one
// that the struct does not have, or with more than most members. Its errors name the line.
func Decode(text []byte, most int, into any) error {
	if err := check(text, most); err != nil {
		return err
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	switch err := dec.Decode(into); {
	case errors.Is(err, io.EOF):
		return errors.New("the file is empty")
	case err != nil:
		return inWords(err, reflect.TypeOf(into))
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return errors.New("more than one document in the file")
	}
	return nil
}

// maxFile is the largest file of settings, in bytes.
const maxFile = 1 << 20

// Settings reads a file of settings: [Decode] with MaxSettings, of at most a MiB.
func Settings(r io.Reader, into any) error {
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	switch {
	case err != nil:
		return err
	case len(text) > maxFile:
		return fmt.Errorf("more than %d bytes", maxFile)
	}
	return Decode(text, MaxSettings, into)
}

var unknownField = regexp.MustCompile(`^(line \d+: )field (.*) not found in type (.*)$`)

// inWords is an error of the library without the names of Go's types.
func inWords(err error, t reflect.Type) error {
	e, ok := errors.AsType[*yaml.TypeError](err)
	if !ok {
		return fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	members := map[string][]string{}
	collect(t, members)
	lines := make([]string, len(e.Errors))
	for i, said := range e.Errors {
		lines[i] = said
		m := unknownField.FindStringSubmatch(said)
		if m == nil {
			continue
		}
		known := members[m[3]]
		hint := Meant(m[2], known)
		if hint == "" {
			hint = "; there are " + strings.Join(known, ", ")
		}
		lines[i] = fmt.Sprintf("%sthere is no member %.40q here%s", m[1], m[2], hint)
	}
	return errors.New(strings.Join(lines, "\n  "))
}

// collect notes the members of every struct in a type, by the type's name.
func collect(t reflect.Type, members map[string][]string) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Array:
		collect(t.Elem(), members)
	case reflect.Struct:
		if _, seen := members[t.String()]; seen {
			return
		}
		var names []string
		members[t.String()] = nil
		for f := range t.Fields() {
			if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name != "" && name != "-" {
				names = append(names, name)
				collect(f.Type, members)
			}
		}
		slices.Sort(names)
		members[t.String()] = names
	}
}

// check refuses a first document that is malformed, or has a mapping with a key twice or with more
// than most members. Its errors name the line.
func check(text []byte, most int) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	return checkNode(&doc, most)
}

func checkNode(n *yaml.Node, most int) error {
	if n.Kind == yaml.MappingNode {
		if len(n.Content) > 2*most {
			return fmt.Errorf("line %d: more than %d members", n.Line, most)
		}
		seen := map[string]bool{}
		for i := 0; i < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind == yaml.ScalarNode && seen[key.Value] {
				return fmt.Errorf("line %d: mapping key %.40q already defined", key.Line, key.Value)
			}
			seen[key.Value] = true
		}
	}
	for _, inside := range n.Content {
		if err := checkNode(inside, most); err != nil {
			return err
		}
	}
	return nil
}

// nearest returns the candidate that text is most likely a slip of, or "".
func nearest(text string, candidates []string) string {
	best, bestDistance := "", 3
	for _, c := range candidates {
		if len(c) > 64 || len(text) > 64 {
			continue
		}
		if d := distance(strings.ToLower(text), strings.ToLower(c)); d < bestDistance && d < len(c) {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance is the number of letters to add, remove or change to get from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// Meant is a hint such as `; did you mean "farmerID"?`.
func Meant(text string, candidates []string) string {
	if n := nearest(text, candidates); n != "" && n != text {
		return fmt.Sprintf("; did you mean %q?", n)
	}
	return ""
}
