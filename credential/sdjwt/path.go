package sdjwt

import (
	"errors"
	"fmt"

	"github.com/sanad-id/sanad/internal/strict"
)

// A Path points at claims, from the top: a string is a member of an object, an int
// an element of an array, and nil every element of an array (the claims path
// pointer of OpenID4VP 1.0 section 7 and of SD-JWT VC type metadata).
type Path []any

// Text is the path for people, such as address.street or degrees[*].type.
func (p Path) Text() string {
	s := ""
	for i, step := range p {
		switch step := step.(type) {
		case string:
			if i > 0 {
				s += "."
			}
			s += step
		case int:
			s += fmt.Sprintf("[%d]", step)
		default:
			s += "[*]"
		}
	}
	return s
}

// check refuses a path that can point at nothing.
func (p Path) check() error {
	if len(p) == 0 {
		return fmt.Errorf("sdjwt: an empty path")
	}
	for _, step := range p {
		switch step := step.(type) {
		case nil, string:
		case int:
			if step < 0 {
				return fmt.Errorf("sdjwt: a path with the index %d", step)
			}
		default:
			return fmt.Errorf("sdjwt: a path with a step of type %T", step)
		}
	}
	return nil
}

// touches reports whether the chosen path p leads to the place q, into it, or
// through it.
func (p Path) touches(q Path) bool {
	for i := range min(len(p), len(q)) {
		_, index := q[i].(int)
		if p[i] != q[i] && !(p[i] == nil && index) {
			return false
		}
	}
	return true
}

// errPath: a path that goes into something which is neither object nor array.
var errPath = errors.New("sdjwt: the path leads into a value that has no parts")

// find returns the values at which p points in v. A step into a value of the wrong
// kind is an error; what is not there is left out.
func (p Path) find(v strict.Value) ([]strict.Value, error) {
	found := []strict.Value{v}
	for _, step := range p {
		var next []strict.Value
		for _, v := range found {
			if isName(step) != (v.Kind() == strict.Object) || !isName(step) && v.Kind() != strict.Array {
				return nil, errPath
			}
			switch step := step.(type) {
			case string:
				if m := v.Get(step); m.Kind() != strict.None {
					next = append(next, m)
				}
			case int:
				if step >= 0 && step < v.Len() {
					next = append(next, v.At(step))
				}
			default:
				for i := range v.Len() {
					next = append(next, v.At(i))
				}
			}
		}
		found = next
	}
	return found, nil
}

func isName(step any) bool {
	_, ok := step.(string)
	return ok
}
