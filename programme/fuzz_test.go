package programme_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/programme"
)

// FuzzParse: a file is refused with faults that name places in it, or it makes a
// programme whose labels, keys and forms are complete.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("../examples/programmes/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range append(files, "testdata/good.yaml") {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("id: 1\n---\nid: 2"))
	boundtest.Fuzz(f, func(t *testing.T, b []byte) {
		p, err := programme.Parse(b)
		if err != nil {
			faults, ok := errors.AsType[programme.Faults](err)
			if !ok || len(faults) == 0 {
				t.Fatalf("%T %v", err, err)
			}
			for _, fault := range faults {
				if lines := strings.Count(string(b), "\n") + strings.Count(string(b), "\r") + 2; fault.Line > lines || fault.Detail == "" {
					t.Fatalf("fault %+v in a file of %d lines", fault, lines)
				}
			}
			return
		}
		keys := map[[2]any]bool{}
		for _, field := range p.CredentialType().Fields {
			key := [2]any{field.Person, field.Key}
			if keys[key] || field.Key < 1 || field.Labels["en"] == "" || field.Name == "" {
				t.Fatalf("field %+v", field)
			}
			keys[key] = true
		}
		if len(p.Forms) == 0 || p.ID == "" || p.Type == "" || p.Version < 1 || p.Records.IDColumn == "" {
			t.Fatalf("programme %+v", p)
		}
		for _, form := range p.Forms {
			sound := form.MaxVersion >= 1 && form.MaxVersion <= 25
			if form.Wallet() {
				metadata, err := p.TypeMetadata(form.Name)
				if err == nil {
					_, err = sdjwt.ParseTypeMetadata(metadata)
				}
				sound = err == nil && form.VCT != "" && form.Copies >= 1 && form.Copies <= programme.MaxCopies && len(form.Shown) <= len(form.Claims)
			}
			if len(form.Claims) == 0 || !sound {
				t.Fatalf("form %+v", form)
			}
		}
	})
}

// FuzzMap: whatever a record contains, what comes out can be carried by the
// format, and no problem quotes a value.
func FuzzMap(f *testing.F) {
	p := goodProgramme(f)
	for column, value := range goodRow() {
		f.Add(column, value)
	}
	f.Add("born", "00/00/1984")
	f.Add("names", `[{"language":"bn"}]`)
	f.Add("given", "\u202eRahima")
	boundtest.Fuzz(f, func(t *testing.T, column, value string) {
		row := goodRow()
		if _, ok := row[column]; !ok {
			return
		}
		row[column] = value
		c, problems := p.Map(record(t, row), now)
		for _, problem := range problems {
			if problem.Code == "" || problem.Detail == "" || problem.Line != 7 {
				t.Fatalf("problem %+v", problem)
			}
			if len(value) > 12 && strings.Contains(problem.String(), value) {
				t.Fatalf("problem %v quotes the value", problem)
			}
		}
		if programme.Fatal(problems) {
			return
		}
		for _, form := range c.Forms() {
			if err := draft(c.Token(form)); err != nil {
				t.Fatalf("%s: %v", form, err)
			}
		}
	})
}
