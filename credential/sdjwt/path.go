package sdjwt

import (
	"fmt"

	"github.com/sanad-id/sanad/internal/strict"
)

// A Path points at claims, from the top: a string is a member of an object, an int
// an element of an array, and nil every element of an array (the claims path
// pointer of OpenID4VP 1.0 section 7 and of SD-JWT VC type metadata).
type Path []any

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

// find appends the values at which p points in v.
func (p Path) find(found []strict.Value, v strict.Value) []strict.Value {
	if len(p) == 0 {
		return append(found, v)
	}
	rest := p[1:]
	switch step := p[0].(type) {
	case string:
		if m := v.Get(step); m.Kind() != strict.None {
			return rest.find(found, m)
		}
	case int:
		if v.Kind() == strict.Array && step >= 0 && step < v.Len() {
			return rest.find(found, v.At(step))
		}
	case nil:
		if v.Kind() == strict.Array {
			for i := range v.Len() {
				found = rest.find(found, v.At(i))
			}
		}
	}
	return found
}
