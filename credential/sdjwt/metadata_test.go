package sdjwt_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/vectors"
)

// documents are type metadata by vct.
type documents map[string]string

func (d documents) fetch(vct string) ([]byte, error) {
	if text, ok := d[vct]; ok {
		return []byte(text), nil
	}
	return nil, fmt.Errorf("no document for %q", vct)
}

// TestMetadataVectors reads every type metadata document of the draft, and merges
// the two of them that extend one another.
func TestMetadataVectors(t *testing.T) {
	read := func(name string) string { return string(vectors.Read(t, "sd-jwt", "type-metadata", name)) }
	for _, name := range []string{"education-type-metadata.json", "type-metadata-minimal.json", "extends-base.json", "extends-child.json"} {
		if m, err := sdjwt.ParseTypeMetadata([]byte(read(name))); err != nil || m.Type == "" {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	education, err := sdjwt.ParseTypeMetadata([]byte(read("education-type-metadata.json")))
	if err != nil {
		t.Fatal(err)
	}
	if len(education.Claims) == 0 || len(education.Display) != 2 || education.Display[0].Name != "Betelgeuse Education Credential" {
		t.Errorf("education: %+v", education)
	}
	child, base := "https://example.com/custom-type-metadata", "https://example.com/base-type-metadata"
	got, err := sdjwt.ResolveType(child, "", documents{child: read("extends-child.json"), base: read("extends-base.json")}.fetch)
	if err != nil {
		t.Fatal(err)
	}
	// The expected result is a document without its vct.
	want, err := sdjwt.ParseTypeMetadata([]byte(strings.Replace(read("extends-effective-claims.json"), "{", `{"vct":"x",`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	if got.Type != child || !reflect.DeepEqual(got.Claims, want.Claims) {
		t.Errorf("merged: %+v, want %+v", got.Claims, want.Claims)
	}
}

// hostileRendering is what the owner of a type could have wallets draw: script, a handler, a
// picture from elsewhere, and a value inside of an attribute.
const hostileRendering = `{"simple":{"logo":{"uri":"https://tracker.example/logo.png"},"background_color":"url(https://tracker.example/)"},` +
	`"svg_templates":[{"uri":"https://tracker.example/card.svg"},{"uri":"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'>` +
	`<script>alert(2)</script><image href='https://tracker.example/p.png'/><text x='{{name}}'>{{name}}</text></svg>"}]}`

// TestRenderingIsLeftOut: SDJ-15. Nothing of what a type would have drawn is kept, so that
// nobody can draw or fetch it, whatever it says.
func TestRenderingIsLeftOut(t *testing.T) {
	asked := 0
	plain := documents{"t0": `{"vct":"t0","display":[{"locale":"en","name":"Licence"}],"claims":[{"path":["name"],"display":[{"locale":"en","label":"Name"}]}]}`}
	hostile := documents{"t0": `{"vct":"t0","display":[{"locale":"en","name":"Licence","rendering":` + hostileRendering + `}],` +
		`"claims":[{"path":["name"],"svg_id":"name","display":[{"locale":"en","label":"Name"}]}],"rendering":` + hostileRendering + `}`}
	want, err := sdjwt.ResolveType("t0", "", plain.fetch)
	if err != nil {
		t.Fatal(err)
	}
	got, err := sdjwt.ResolveType("t0", "", func(vct string) ([]byte, error) { asked++; return hostile.fetch(vct) })
	if err != nil || !reflect.DeepEqual(got, want) || asked != 1 {
		t.Errorf("SDJ-15 %+v, %v, want %+v; %d documents were fetched", got, err, want, asked)
	}
}

// TestMetadataRefuses is SDJ-14: documents that may not be used.
func TestMetadataRefuses(t *testing.T) {
	chain := documents{}
	for i := range 9 {
		chain[fmt.Sprint("t", i)] = fmt.Sprintf(`{"vct":"t%d","extends":"t%d"}`, i, i+1)
	}
	chain["t9"] = `{"vct":"t9"}`
	doc := func(members string) documents { return documents{"t0": `{"vct":"t0",` + members + `}`} }
	pair := func(child, base string) documents {
		return documents{
			"t0": `{"vct":"t0","extends":"b","claims":[{"path":["c"]` + child + `}]}`,
			"b":  `{"vct":"b","claims":[{"path":["c"]` + base + `}]}`,
		}
	}
	for name, d := range map[string]documents{
		"no JSON":                    {"t0": "<html>"},
		"a list":                     {"t0": "[]"},
		"no vct":                     {"t0": "{}"},
		"about another type":         {"t0": `{"vct":"t1"}`},
		"a member twice":             {"t0": `{"vct":"t0","vct":"t0"}`},
		"extends itself":             doc(`"extends":"t0"`),
		"extends in a circle":        {"t0": `{"vct":"t0","extends":"a"}`, "a": `{"vct":"a","extends":"t0"}`},
		"nine above one another":     chain,
		"extends a number":           doc(`"extends":1`),
		"the other one has changed":  {"t0": `{"vct":"t0","extends":"a","extends#integrity":"sha256-AAAA"}`, "a": `{"vct":"a"}`},
		"too large":                  {"t0": `{"vct":"t0","x":"` + strings.Repeat("x", sdjwt.MaxMetadata) + `"}`},
		"claims no array":            doc(`"claims":{}`),
		"claim no object":            doc(`"claims":[1]`),
		"claim without path":         doc(`"claims":[{}]`),
		"path empty":                 doc(`"claims":[{"path":[]}]`),
		"path a text":                doc(`"claims":[{"path":"c"}]`),
		"path an object":             doc(`"claims":[{"path":{"a":"c"}}]`),
		"path negative":              doc(`"claims":[{"path":[-1]}]`),
		"path with half a step":      doc(`"claims":[{"path":[0.5]}]`),
		"path twice":                 doc(`"claims":[{"path":["a"]},{"path":["a"]}]`),
		"sd unknown":                 doc(`"claims":[{"path":["a"],"sd":"Always"}]`),
		"mandatory a text":           doc(`"claims":[{"path":["a"],"mandatory":"true"}]`),
		"label missing":              doc(`"claims":[{"path":["a"],"display":[{"locale":"en"}]}]`),
		"never becomes always":       pair(`,"sd":"always"`, `,"sd":"never"`),
		"always is left out":         pair(``, `,"sd":"always"`),
		"mandatory becomes optional": pair(``, `,"mandatory":true`),
	} {
		asked := map[string]int{}
		if m, err := sdjwt.ResolveType("t0", "", func(vct string) ([]byte, error) { asked[vct]++; return d.fetch(vct) }); !errors.Is(err, sdjwt.ErrMetadata) {
			t.Errorf("SDJ-14 %s: %+v, %v, want ErrMetadata", name, m, err)
		}
		for vct, times := range asked { // a circle is seen when it closes
			if times > 1 || vct == "t8" {
				t.Errorf("SDJ-14 %s: asked %d times for %s", name, times, vct)
			}
		}
	}
	if _, err := sdjwt.ResolveType("t0", sdjwt.Integrity([]byte("x")), doc(`"name":"n"`).fetch); !errors.Is(err, sdjwt.ErrMetadata) {
		t.Errorf("another document than the credential states: %v", err)
	}
	if _, err := sdjwt.ResolveType("t0", "", documents{}.fetch); err == nil || errors.Is(err, sdjwt.ErrMetadata) {
		t.Errorf("out of reach: %v, want the error of fetch", err)
	}
	strengthened := pair(`,"sd":"always","mandatory":true`, ``)
	if m, err := sdjwt.ResolveType("t0", sdjwt.Integrity([]byte(strengthened["t0"])), strengthened.fetch); err != nil || m.Claims[0].SD != "always" || !m.Claims[0].Mandatory {
		t.Errorf("strengthened: %+v, %v", m, err)
	}
}

// TestMetadataCheck holds a credential against its type.
func TestMetadataCheck(t *testing.T) {
	issued, err := sdjwt.Parse(issue(t, goodToken(t)))
	if err != nil {
		t.Fatal(err)
	}
	for members, good := range map[string]bool{
		`"path":["given_name"],"sd":"always","mandatory":true`: true,
		`"path":["country"],"sd":"never","mandatory":true`:     true,
		`"path":["address","ward"],"sd":"always"`:              true,
		`"path":["crops",null]`:                                true,
		`"path":["nickname"],"sd":"always"`:                    true,
		`"path":["nickname"],"mandatory":true`:                 false,
		`"path":["given_name"],"sd":"never"`:                   false,
		`"path":["country"],"sd":"always"`:                     false,
		`"path":["given_name","x"],"mandatory":true`:           false,
	} {
		m, err := sdjwt.ParseTypeMetadata([]byte(`{"vct":"x","claims":[{` + members + `}]}`))
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Check(issued); (err == nil) != good || err != nil && !errors.Is(err, sdjwt.ErrMetadata) {
			t.Errorf("%s: %v", members, err)
		}
	}
}

// FuzzTypeMetadata: what is read has paths that can be followed.
func FuzzTypeMetadata(f *testing.F) {
	f.Add([]byte(`{"vct":"x","claims":[{"path":["a",null,0],"sd":"always"}],"display":[{"locale":"en","name":"n"}]}`))
	boundtest.Fuzz(f, func(t *testing.T, b []byte) {
		m, err := sdjwt.ParseTypeMetadata(b)
		if err != nil {
			if !errors.Is(err, sdjwt.ErrMetadata) {
				t.Fatal(err)
			}
			return
		}
		for _, c := range m.Claims {
			if len(c.Path) == 0 || c.SD == "" {
				t.Fatalf("claim %+v", c)
			}
		}
	})
}
