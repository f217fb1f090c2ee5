//go:build !js

package wallet

import (
	"maps"
	"reflect"
	"slices"

	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/oid4vp"
)

// aboutItself are the claims that say something about a credential and nothing about the
// holder (SD-JWT VC section 3.2.2.2).
var aboutItself = []string{"iss", "iat", "nbf", "exp", "cnf", "vct", "vct#integrity", "status"}

// beside are the claims that a presentation of this candidate shows although they are not
// among those that were asked for, each with all that is inside of it.
func beside(s *shown, c oid4vp.Candidate) ([]sdjwt.Path, error) {
	asked := c.Disclose()
	text, err := sdjwt.Present(s.text(), asked...)
	if err != nil {
		return nil, err
	}
	p, err := sdjwt.Parse(text)
	if err != nil {
		return nil, err
	}
	var found []sdjwt.Path
	var walk func(at sdjwt.Path, seen, whole any)
	walk = func(at sdjwt.Path, seen, whole any) {
		if slices.ContainsFunc(asked, func(a sdjwt.Path) bool { return len(a) <= len(at) && slices.Equal(a, at[:len(a)]) }) {
			return
		}
		inside := map[any]bool{} // what was asked for of it
		for _, a := range asked {
			if len(a) > len(at) && slices.Equal(a[:len(at)], at) {
				inside[a[len(at)]] = true
			}
		}
		object, isObject := seen.(map[string]any)
		list, _ := seen.([]any)
		all, _ := whole.([]any)
		switch {
		case len(inside) == 0 && reflect.DeepEqual(seen, whole):
			found = append(found, at)
		case isObject:
			full, _ := whole.(map[string]any)
			for _, name := range slices.Sorted(maps.Keys(object)) {
				walk(append(slices.Clip(at), name), object[name], full[name])
			}
		case len(list) == len(all):
			for i := range list {
				walk(append(slices.Clip(at), i), list[i], all[i])
			}
		case len(list) > len(inside): // where elements stand is not known once some are hidden
			found = append(found, at)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Claims)) {
		if !slices.Contains(aboutItself, name) {
			walk(sdjwt.Path{name}, p.Claims[name], s.of.Claims[name])
		}
	}
	return found, nil
}
