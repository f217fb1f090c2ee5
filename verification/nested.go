//go:build !js || pocket

package verification

import (
	"strings"

	"github.com/sanad-id/sanad/credential"
)

// takeNested takes the claim of a name such as address.village out of the object that it
// stands in, and the object with its last member. What is in the credential stays as it is.
func takeNested(claims map[string]credential.Claim, name string) (credential.Claim, bool) {
	first, rest, nested := strings.Cut(name, ".")
	object, ok := claims[first].Value.(map[string]any)
	if !nested || !ok {
		return credential.Claim{}, false
	}
	value, left, ok := without(object, rest)
	if !ok {
		return credential.Claim{}, false
	}
	if len(left) == 0 {
		delete(claims, first)
	} else {
		claims[first] = credential.Claim{Name: first, Value: left}
	}
	return credential.Claim{Name: name, Value: value}, true
}

// without returns the member of an object at a path, and a copy of the object without it
// and without objects that are empty then.
func without(object map[string]any, path string) (value any, left map[string]any, ok bool) {
	first, rest, deeper := strings.Cut(path, ".")
	value, ok = object[first]
	if !ok {
		return nil, nil, false
	}
	left = map[string]any{}
	for name, member := range object {
		if name != first {
			left[name] = member
		}
	}
	if !deeper {
		return value, left, true
	}
	inner, ok := value.(map[string]any)
	if !ok {
		return nil, nil, false
	}
	value, inner, ok = without(inner, rest)
	if len(inner) > 0 {
		left[first] = inner
	}
	return value, left, ok
}
