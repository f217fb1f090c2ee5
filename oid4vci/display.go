package oid4vci

import (
	"fmt"

	"github.com/sanad-id/sanad/internal/strict"
)

// Display is how something is called and drawn in one language. A claim has a name
// only.
type Display struct {
	// Locale is the language (BCP 47); "" for the one without.
	Locale                     string
	Name, Description          string
	Logo, Background           *Image
	BackgroundColor, TextColor string
}

// An Image is where a picture is found. Whether to fetch it is the wallet's decision:
// the address was not checked beyond its length.
type Image struct{ URI, AltText string }

// A Claim describes the claims at one path: text, int and nil, as in sdjwt.Path.
type Claim struct {
	Path      []any
	Mandatory bool
	Display   []Display
}

// putDisplay adds a list of languages, each of which may stand there once.
func putDisplay(m map[string]any, list []Display) error {
	if len(list) == 0 {
		return nil
	}
	seen := map[string]bool{}
	out := make([]any, len(list))
	for i, d := range list {
		if seen[d.Locale] {
			return fmt.Errorf("oid4vci: display has the language %q twice", d.Locale)
		}
		seen[d.Locale] = true
		members := map[string]any{}
		put(members, "locale", d.Locale)
		put(members, "name", d.Name)
		put(members, "description", d.Description)
		put(members, "background_color", d.BackgroundColor)
		put(members, "text_color", d.TextColor)
		for name, image := range map[string]*Image{"logo": d.Logo, "background_image": d.Background} {
			if image != nil {
				about := map[string]any{"uri": image.URI}
				put(about, "alt_text", image.AltText)
				members[name] = about
			}
		}
		out[i] = members
	}
	m["display"] = out
	return nil
}

// readDisplay reads a list of languages. There must be one entry for each.
func readDisplay(in *object, named bool) []Display {
	var list []Display
	seen := map[string]bool{}
	for _, v := range in.list("display", maxLanguages) {
		o := in.element(v, "display")
		d := Display{
			Locale: o.text("locale", 64), Name: o.text("name", maxText), Description: o.text("description", maxText),
			BackgroundColor: o.text("background_color", 64), TextColor: o.text("text_color", 64),
			Logo: readImage(o, "logo"), Background: readImage(o, "background_image"),
		}
		if named {
			o.need("name", d.Name != "")
		}
		if seen[d.Locale] {
			o.fail(ErrRepeated, "display has a language twice")
		}
		seen[d.Locale] = true
		in.join(o)
		list = append(list, d)
	}
	return list
}

// maxImage is the most bytes of the address of a picture, which may be the picture
// itself (data:).
const maxImage = 256 << 10

func readImage(in *object, name string) *Image {
	o, ok := in.at(name)
	if !ok {
		return nil
	}
	i := &Image{URI: o.mustText("uri", maxImage), AltText: o.text("alt_text", maxText)}
	in.join(o)
	return i
}

// readClaims reads claims descriptions (appendix B.2), refusing two for one claim and those
// that contradict each other (appendix B.3).
func readClaims(in *object) []Claim {
	var list []Claim
	seen, steps := map[string]bool{}, map[string]string{}
	for _, v := range in.list("claims", maxClaims) {
		o := in.element(v, "claims")
		c := Claim{Path: readPath(o)}
		c.Mandatory, _ = o.flag("mandatory")
		c.Display = readDisplay(o, false)
		key := fmt.Sprintf("%q", c.Path)
		if seen[key] {
			o.fail(ErrRepeated, "two descriptions of one claim")
		}
		seen[key] = true
		if !agrees(steps, c.Path) {
			o.fail(ErrConflict, "claim descriptions that contradict each other")
		}
		in.join(o)
		list = append(list, c)
	}
	return list
}

// agrees notes the kind of each step of a path, and reports whether the paths before had steps
// of the same kinds from the same places: what is an object for one is no array for another,
// and elements are addressed all together or one by one.
func agrees(steps map[string]string, path []any) bool {
	for i, step := range path {
		from, kind := fmt.Sprintf("%q", path[:i]), fmt.Sprintf("%T", step)
		if was, ok := steps[from]; ok && was != kind {
			return false
		}
		steps[from] = kind
	}
	return true
}

// readPath reads a claims path pointer (appendix C).
func readPath(o *object) []any {
	var path []any
	for _, step := range o.list("path", maxPath) {
		if s, ok := step.Text(); ok && len(s) <= maxName {
			path = append(path, s)
			continue
		}
		if n, ok := step.Int(); ok && n >= 0 && n < 1<<31 {
			path = append(path, int(n))
			continue
		}
		if step.Kind() == strict.Null {
			path = append(path, nil)
			continue
		}
		o.fail(ErrMalformed, "a path with a step that is neither text, index nor null")
	}
	o.need("path", path != nil)
	return path
}
