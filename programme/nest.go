package programme

import (
	"slices"
	"strings"

	"github.com/sanad-id/sanad/credential/sdjwt"
)

// Path is where a claim stands in an SD-JWT VC: its name, or the names of the objects
// that it is in and its own, which the file writes with points between (address.village).
func (c *Claim) Path() []any {
	steps := strings.Split(c.Name, ".")
	path := make([]any, len(steps))
	for i, s := range steps {
		path[i] = s
	}
	return path
}

// within reports whether a claim stands in this object, such as address.village in
// address.
func (c *Claim) within(object string) bool { return strings.HasPrefix(c.Name, object+".") }

// objects are the objects that claims of the form stand in, the outermost first.
func (p *Programme) objects(f Form) []string {
	var names []string
	for _, i := range f.carried {
		name := p.Claims[i].Name
		for at, c := range name {
			if c == '.' && !slices.Contains(names, name[:at]) {
				names = append(names, name[:at])
			}
		}
	}
	return names
}

// hidesObject reports whether the holder can leave an object out as a whole: if nothing
// in it is always shown.
func (p *Programme) hidesObject(f Form, object string) bool {
	return !slices.ContainsFunc(f.carried, func(i int) bool {
		return p.Claims[i].within(object) && slices.Contains(f.Shown, p.Claims[i].Name)
	})
}

// nest puts the values of claims, by name, into the objects that they stand in. An object
// is hidden, and what is in it hidden again (RFC 9901, section 4.2.6), if the holder can
// leave all of it out.
func (p *Programme) nest(f Form, flat map[string]any) map[string]any {
	objects := p.objects(f)
	if len(objects) == 0 {
		return flat
	}
	claims := make(map[string]any, len(flat))
	for name, v := range flat {
		steps, to := strings.Split(name, "."), claims
		for _, s := range steps[:len(steps)-1] {
			inner, ok := to[s].(map[string]any)
			if !ok {
				inner = map[string]any{}
				to[s] = inner
			}
			to = inner
		}
		to[steps[len(steps)-1]] = v
	}
	for _, object := range slices.Backward(objects) { // the innermost first
		steps, to := strings.Split(object, "."), claims
		for _, s := range steps[:len(steps)-1] {
			to, _ = to[s].(map[string]any) // nil if the record has nothing of it
		}
		last := steps[len(steps)-1]
		if inner, ok := to[last]; ok && p.hidesObject(f, object) {
			to[last] = sdjwt.Hidden{Value: inner}
		}
	}
	return claims
}
