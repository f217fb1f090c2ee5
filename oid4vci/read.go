package oid4vci

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/sanad-id/sanad/internal/strict"
)

// An object is a JSON object that is being read. It keeps the first error, so that
// a reader can ask for one member after the other.
type object struct {
	v    strict.Value
	name string // of the object, for errors
	code Code
	err  error
}

// readObject reads a text that must be an object.
func readObject(limits strict.Limits, b []byte, name string, code Code) *object {
	v, err := limits.Object(b)
	o := &object{v: v, name: name, code: code}
	if errors.Is(err, strict.ErrTooLarge) {
		o.fail(ErrTooLarge, "%s is too large", name)
	} else if err != nil {
		o.fail(ErrMalformed, "%s is not the JSON object that was expected", name)
	}
	return o
}

// at is the object in a member. Without one it reads as empty, and present is false.
func (o *object) at(name string) (member *object, present bool) {
	v := o.v.Get(name)
	member = &object{v: v, name: name, code: o.code}
	if v.Kind() != strict.None && v.Kind() != strict.Object {
		o.fail(ErrMalformed, "%s in %s is no object", name, o.name)
	}
	return member, v.Kind() == strict.Object
}

// join takes over the error of an inner object.
func (o *object) join(inner *object) {
	if o.err == nil {
		o.err = inner.err
	}
}

func (o *object) fail(reason error, format string, args ...any) {
	if o.err == nil {
		o.err = refuse(o.code, reason, format, args...)
	}
}

// need fails if nothing was found.
func (o *object) need(name string, found bool) {
	if !found {
		o.fail(ErrMissing, "%s without %s", o.name, name)
	}
}

// text returns a member that must be a text without being empty; "" if it is absent.
func (o *object) text(name string, most int) string {
	v := o.v.Get(name)
	if v.Kind() == strict.None {
		return ""
	}
	s, ok := v.Text()
	switch {
	case !ok || s == "":
		o.fail(ErrMalformed, "%s in %s is not a text", name, o.name)
	case len(s) > most:
		o.fail(ErrTooLarge, "%s in %s is longer than %d bytes", name, o.name, most)
	}
	return s
}

// mustText is text for a member that must be there.
func (o *object) mustText(name string, most int) string {
	s := o.text(name, most)
	o.need(name, s != "")
	return s
}

// texts returns a member that must be a list of different texts without being empty;
// nil if it is absent.
func (o *object) texts(name string, count, most int) []string {
	v := o.v.Get(name)
	if v.Kind() == strict.None {
		return nil
	}
	if v.Kind() != strict.Array || v.Len() == 0 {
		o.fail(ErrMalformed, "%s in %s is not a list", name, o.name)
		return nil
	}
	if v.Len() > count {
		o.fail(ErrTooLarge, "%s in %s has more than %d entries", name, o.name, count)
		return nil
	}
	list := make([]string, 0, v.Len())
	for i := range v.Len() {
		s, ok := v.At(i).Text()
		switch {
		case !ok || s == "":
			o.fail(ErrMalformed, "%s in %s has an entry that is not a text", name, o.name)
		case len(s) > most:
			o.fail(ErrTooLarge, "%s in %s has an entry longer than %d bytes", name, o.name, most)
		case slices.Contains(list, s):
			o.fail(ErrRepeated, "%s in %s has an entry twice", name, o.name)
		}
		list = append(list, s)
	}
	return list
}

// list returns the elements of a member that must be a list; nil if it is absent.
func (o *object) list(name string, count int) []strict.Value {
	v := o.v.Get(name)
	switch {
	case v.Kind() == strict.None:
		return nil
	case v.Kind() != strict.Array || v.Len() == 0:
		o.fail(ErrMalformed, "%s in %s is not a list", name, o.name)
		return nil
	case v.Len() > count:
		o.fail(ErrTooLarge, "%s in %s has more than %d entries", name, o.name, count)
		return nil
	}
	list := make([]strict.Value, v.Len())
	for i := range list {
		list[i] = v.At(i)
	}
	return list
}

// element is the object at one place of a list.
func (o *object) element(v strict.Value, name string) *object {
	if v.Kind() != strict.Object {
		o.fail(ErrMalformed, "an entry of %s in %s is no object", name, o.name)
	}
	return &object{v: v, name: name, code: o.code}
}

// flag returns a member that must be a boolean; false if it is absent.
func (o *object) flag(name string) (value, present bool) {
	v := o.v.Get(name)
	if v.Kind() == strict.None {
		return false, false
	}
	b, ok := v.Any().(bool)
	if !ok {
		o.fail(ErrMalformed, "%s in %s is neither true nor false", name, o.name)
	}
	return b, true
}

// number returns a member that must be a whole number in this range; 0 if it is absent.
func (o *object) number(name string, least, most int64) int64 {
	v := o.v.Get(name)
	if v.Kind() == strict.None {
		return 0
	}
	n, ok := v.Int()
	if !ok || n < least || n > most {
		o.fail(ErrMalformed, "%s in %s is not a number from %d to %d", name, o.name, least, most)
		return 0
	}
	return n
}

// A form is the parameters of a request that are being read. Like an object it keeps
// the first error.
type form struct {
	values url.Values
	err    error
}

// maxParameters is the most parameters of a form.
const maxParameters = 64

// readForm reads parameters. One that stands there twice is refused (RFC 6749 section
// 3.1), also one that we do not know.
func readForm(values url.Values) *form {
	f := &form{values: values}
	if len(values) > maxParameters {
		f.fail(ErrTooLarge, "more than %d parameters", maxParameters)
	}
	for name, all := range values {
		if len(all) > 1 {
			f.fail(ErrRepeated, "a parameter is repeated: %s", cut(name))
		}
	}
	return f
}

func (f *form) fail(reason error, format string, args ...any) {
	if f.err == nil {
		f.err = refuse(InvalidRequest, reason, format, args...)
	}
}

// text returns a parameter. One without a value counts as absent (RFC 6749 section 3.1).
func (f *form) text(name string, most int) string {
	s := f.values.Get(name)
	if len(s) > most {
		f.fail(ErrTooLarge, "%s is longer than %d bytes", name, most)
	}
	return s
}

// must is text for a parameter that must be there.
func (f *form) must(name string, most int) string {
	s := f.text(name, most)
	if s == "" {
		f.fail(ErrMissing, "no %s", name)
	}
	return s
}

// cut shortens what somebody else wrote, for errors.
func cut(s string) string {
	if len(s) > 40 {
		s = s[:40]
	}
	return fmt.Sprintf("%q", s)
}

// Sizes of what others chose.
const (
	maxURL  = 2048
	maxName = 512      // identifiers, names
	maxForm = 16 << 10 // one value of a form
	maxText = 4 << 10  // texts for people
)

// printable reports whether s consists of visible ASCII characters.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// fields splits a space-separated list of different words (RFC 6749 section 3.3).
func fields(s string) ([]string, bool) {
	if s == "" {
		return nil, true
	}
	list := strings.Split(s, " ")
	for i, w := range list {
		if w == "" || !printable(w) || strings.ContainsAny(w, `"\`) || slices.Contains(list[:i], w) {
			return nil, false
		}
	}
	return list, true
}

// write writes a message of ours.
func write(m map[string]any) ([]byte, error) {
	b, err := strict.AppendJSON(nil, m)
	if err != nil {
		return nil, fmt.Errorf("oid4vci: write: %w", err)
	}
	return b, nil
}

// anys returns texts as AppendJSON takes them.
func anys[T ~string](list []T) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	return out
}

// put adds a text that is not empty, or a list that is not empty.
func put[T ~string](m map[string]any, name string, v T) {
	if v != "" {
		m[name] = string(v)
	}
}

func putList[T ~string](m map[string]any, name string, v []T) {
	if len(v) > 0 {
		m[name] = anys(v)
	}
}
