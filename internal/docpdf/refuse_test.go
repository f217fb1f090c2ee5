package docpdf_test

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/docpdf"
	"github.com/sanad-id/sanad/internal/i18n"
)

// actions are what a PDF file can do beside being looked at.
var actions = regexp.MustCompile(`/(JavaScript|JS|OpenAction|AA|A|URI|Launch|EmbeddedFiles?|GoToR|SubmitForm|RichMedia|Annots|AcroForm|XFA)\b`)

// TestTextStaysText is OUT-02 and OUT-03: whatever a text says, it is printed and does
// nothing. The file has as many objects as with a harmless text.
func TestTextStaysText(t *testing.T) {
	harmless, _ := render(t, certificate(t, "sheet", "en"))
	want, _ := structure(t, harmless)
	for name, text := range map[string]string{
		"OUT-03 closes a string":     `A) Tj ET /OpenAction <</S /JavaScript /JS (app.alert(1))>> (`,
		"OUT-03 closes hexadecimal":  `> >> /AA << /O 7 0 R >> <`,
		"OUT-03 ends a stream":       "endstream endobj 7 0 obj <</S /Launch>> endobj",
		"OUT-03 ends the file":       "trailer <</Root 1 0 R>> startxref 0 %%EOF",
		"OUT-03 backslashes":         `\) \( \\ \101 \`,
		"OUT-03 refers to an object": "7 0 R 1 0 obj",
		"OUT-03 marked content":      "EMC /Span <</ActualText (x)>> BDC",
		"OUT-02 markup":              `<script>alert(1)</script><b>&amp;"'`,
		"OUT-02 closes metadata":     `</rdf:li></rdf:Alt><?xpacket end="w"?>`,
	} {
		t.Run(name, func(t *testing.T) {
			c := certificate(t, "sheet", "en")
			c.Claims[1].Value = text
			c.Claims[2].Labels = map[string]string{"en": text}
			c.Type, c.Issuer = map[string]string{"en": text}, map[string]string{"en": text}
			file, _ := render(t, c)
			objects, plain := structure(t, file)
			// Other letters need other fonts, of seven objects each.
			if objects > want {
				t.Errorf("%d objects, a harmless text makes %d", objects, want)
			}
			if found := actions.FindString(plain); found != "" {
				t.Errorf("the file has %s", found)
			}
			if info := string(tool(t, "pdfinfo", file, "IN")); !strings.Contains(info, "JavaScript:      no") {
				t.Errorf("pdfinfo: %s", info)
			}
			read := strings.Join(strings.Fields(words(t, file, "-raw")), "")
			if clean := strings.Join(strings.Fields(text), ""); !strings.Contains(read, clean) {
				t.Errorf("the paper does not say %q", text)
			}
		})
	}
}

// TestTextThatSteers is OUT-03 and OUT-08: characters that are not shown become
// visible, and letters that no font has a box, each with a note.
func TestTextThatSteers(t *testing.T) {
	for _, tt := range []struct {
		name, text, shows string
		note              docpdf.Note
	}{
		{"OUT-03 no font", "Li 漢字", "漢字", docpdf.Note{What: docpdf.Missing, Where: "name"}},
		{"OUT-03 private use", "a\ue000b", "U+E000", docpdf.Note{What: docpdf.Clipped, Where: "name"}},
		{"OUT-08 override", "abc\u202edef", "U+202E", docpdf.Note{What: docpdf.Clipped, Where: "name"}},
		{"OUT-08 nul and escape", "a\x00\x1b[2Jb", "U+0000", docpdf.Note{What: docpdf.Clipped, Where: "name"}},
		{"OUT-08 not UTF-8", "a\xffb", "a", docpdf.Note{}},
		{"OUT-08 10 000 characters", strings.Repeat("Abdul ", 1667), "Abdul Abdul", docpdf.Note{What: docpdf.Clipped, Where: "name"}},
		{"OUT-08 10 000 characters in one word", strings.Repeat("x", 10_000), "xxxx", docpdf.Note{What: docpdf.Clipped, Where: "name"}},
		{"OUT-08 1 000 marks on one letter", "a" + strings.Repeat("\u0301", 1000) + "b", "b", docpdf.Note{What: docpdf.Clipped, Where: "name"}},
		{"OUT-08 line breaks", "one\n\n\n\n\ntwo", "two", docpdf.Note{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, layout := range []string{"card", "sheet", "strip"}[:count(1, 3)] {
				c := certificate(t, layout, "en")
				c.Claims[1].Value = tt.text
				file, notes := render(t, c)
				if tt.note != (docpdf.Note{}) && !slices.Contains(notes, tt.note) {
					t.Errorf("%s: notes %v, want %v", layout, notes, tt.note)
				}
				if text := words(t, file, "-raw"); !strings.Contains(text, tt.shows) || !strings.Contains(text, "B-07-2019-00000123") {
					t.Errorf("%s: %q or what stands beside it is not on the paper", layout, tt.shows)
				}
				if n := strings.Count(words(t, file), "\f"); n != len(c.Layout.Pages) {
					t.Errorf("%s: %d pages, want %d", layout, n, len(c.Layout.Pages))
				}
			}
		})
	}
}

// TestNoRoom: claims for which there is no room are counted on the paper.
func TestNoRoom(t *testing.T) {
	c := certificate(t, "card", "en")
	c.Claims = nil
	for i := range 40 {
		c.Claims = append(c.Claims, docpdf.Claim{Name: fmt.Sprint("c", i), Labels: labels("Claim", "দাবি", "بيان"), Kind: "text", Value: fmt.Sprintf("value-%02d", i)})
	}
	file, notes := render(t, c)
	left := 0
	for _, n := range notes {
		if n.What == docpdf.LeftOut {
			left++
		}
	}
	text := words(t, file, "-raw")
	shown := strings.Count(text, "value-")
	if shown == 0 || left == 0 || shown+left != 40 || !strings.Contains(text, fmt.Sprintf("%d more entries", left)) {
		t.Errorf("%d of 40 claims are shown and %d noted as left out:\n%s", shown, left, text)
	}
}

// TestRenderRefuses spoils one thing at a time in a certificate that is good otherwise.
func TestRenderRefuses(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*docpdf.Certificate)
		want  error
	}{
		{"no layout", func(c *docpdf.Certificate) { c.Layout = nil }, docpdf.ErrCertificate},
		{"no language", func(c *docpdf.Certificate) { c.Languages = nil }, docpdf.ErrCertificate},
		{"three languages", func(c *docpdf.Certificate) { c.Languages = i18n.Languages()[:3] }, docpdf.ErrCertificate},
		{"no date", func(c *docpdf.Certificate) { c.Issued = time.Time{} }, docpdf.ErrCertificate},
		{"no code", func(c *docpdf.Certificate) { c.Codes = nil }, docpdf.ErrCertificate},
		{"five codes", func(c *docpdf.Certificate) { c.Codes = slices.Repeat(c.Codes[:1], 5) }, docpdf.ErrCertificate},
		{"65 claims", func(c *docpdf.Certificate) { c.Claims = slices.Repeat(c.Claims[:1], 65) }, docpdf.ErrCertificate},
		{"no narrow code for a strip", func(c *docpdf.Certificate) {
			c.Layout, _ = docpdf.LayoutNamed("strip")
			c.Codes = c.Codes[:1]
		}, docpdf.ErrNoCode},
		{"a code too dense for its place", func(c *docpdf.Certificate) { c.Codes[0].Text = alphanumeric(2200, 5) }, docpdf.ErrTooDense},
		{"a narrow code too dense for its place", func(c *docpdf.Certificate) { c.Codes[1].Text = alphanumeric(960, 5) }, docpdf.ErrTooDense},
		{"an address too long for a small code", func(c *docpdf.Certificate) { c.Help = "https://" + strings.Repeat("x", 46) }, docpdf.ErrTooDense},
	}
	p := printer(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := certificate(t, "sheet", "en")
			tt.spoil(&c)
			var b bytes.Buffer
			if _, err := p.Render(&b, c); !errors.Is(err, tt.want) {
				t.Errorf("Render: %v, want %v", err, tt.want)
			}
			if b.Len() > 0 {
				t.Errorf("%d bytes were written", b.Len())
			}
		})
	}
	for _, tt := range []struct {
		name string
		code docpdf.Code
	}{{"an empty code", docpdf.Code{Level: "M"}}, {"a code of no level", docpdf.Code{Text: "A"}}, {"a code of 8000 characters", docpdf.Code{Text: strings.Repeat("A", 8000), Level: "L"}}} {
		c := certificate(t, "sheet", "en")
		c.Codes[0] = tt.code
		if _, err := p.Render(&bytes.Buffer{}, c); err == nil {
			t.Errorf("%s was printed", tt.name)
		}
	}
}

// TestPhoto: a portrait that is none is noted and printed by nobody.
func TestPhoto(t *testing.T) {
	c := certificate(t, "card", "en")
	for name, face := range map[string]*credential.Face{
		"WebP":                 {Data: []byte("RIFF....WEBP"), MediaType: "image/webp"},
		"a JPEG that is none":  {Data: []byte("\xff\xd8\xff not a picture"), MediaType: "image/jpeg"},
		"a PDF that is called": {Data: []byte("%PDF-1.7"), MediaType: "image/jpeg"},
	} {
		c.Photo = face
		if _, notes := render(t, c); !slices.Contains(notes, docpdf.Note{What: docpdf.NoPhoto, Where: "photo"}) {
			t.Errorf("%s: notes %v", name, notes)
		}
	}
}

// TestCertificateIsNotLogged: what prints a certificate shows its number only.
func TestCertificateIsNotLogged(t *testing.T) {
	c := certificate(t, "card", "en")
	for _, s := range []string{fmt.Sprint(&c), fmt.Sprintf("%+v", &c), fmt.Sprintf("%#v", &c), c.LogValue().String()} {
		if strings.Contains(s, "Rafiqul") || !strings.Contains(s, c.Number) {
			t.Errorf("printed as %q", s)
		}
	}
}

const goodLayout = `layout: own
paper: A5
pages:
  - - {put: type, at: [10, 10], box: [128, 10]}
    - {put: code, at: [10, 100], box: [60, 60]}
`

func TestParseLayoutRefuses(t *testing.T) {
	if _, err := docpdf.ParseLayout([]byte(goodLayout)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, from, to, want string }{
		{"a key that is not known", "paper: A5", "paper: A5\ncolour: red", "colour"},
		{"a key twice", "paper: A5", "paper: A5\npaper: A4", "already"},
		{"a block with a key that is not known", "put: type,", "put: type, script: x,", "script"},
		{"no name", "layout: own", "layout: ''", "layout"},
		{"a name with a path", "layout: own", "layout: ../own", "layout"},
		{"paper that is none", "A5", "A5x", "paper"},
		{"paper of a kilometre", "A5", "9999x9999", "paper"},
		{"paper of nothing", "A5", "10x10", "paper"},
		{"no page", "pages:\n", "pages: []\nlabels:\n", ""},
		{"no code", "put: code", "put: frame", "no code"},
		{"what cannot be put", "put: type", "put: picture", "put"},
		{"one number", "box: [128, 10]", "box: [128]", "two numbers"},
		{"beyond the paper", "box: [128, 10]", "box: [139, 10]", "beyond"},
		{"left of the paper", "at: [10, 10]", "at: [-1, 10]", "not between"},
		{"not a number", "at: [10, 10]", "at: [.nan, 10]", "not between"},
		{"letters of a metre", "at: [10, 10]", "size: 3000, at: [10, 10]", "letters"},
		{"letters that cannot be read", "at: [10, 10]", "least: 1, at: [10, 10]", "letters"},
		{"modules too small", "put: code,", "put: code, dots: 3,", "dots"},
		{"a form that is no name", "put: code,", "put: code, form: 'a b',", "form"},
		{"a sentence that is none", "put: type,", "put: text, key: x,", "key"},
		{"an alias", "layout: own", "layout: &a own", "anchors"},
		{"two documents", "layout: own", "layout: own\n---\nlayout: own", ""},
		{"101 blocks", "  - - {put: type, at: [10, 10], box: [128, 10]}\n", "  - - {put: type, at: [10, 10], box: [128, 10]}\n" + strings.Repeat("    - {put: frame, at: [1, 1], box: [1, 1]}\n", 100), "100 blocks"},
		{"64 kB", "layout: own", "layout: own # " + strings.Repeat("x", 64<<10), "bytes"},
		{"not UTF-8", "layout: own", "layout: \"\xff\"", "UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(goodLayout, tt.from, tt.to, 1)
			if text == goodLayout {
				t.Fatal("nothing is spoiled")
			}
			_, err := docpdf.ParseLayout([]byte(text))
			if !errors.Is(err, docpdf.ErrLayout) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ParseLayout: %v, want a fault about %q", err, tt.want)
			}
		})
	}
}

// FuzzRender: any text is printed on as many pages as the layout has, in a file that is
// whole and can do nothing.
func FuzzRender(f *testing.F) {
	for _, s := range scripts {
		f.Add(s.text, "card")
	}
	f.Add("(\\) Tj ET", "sheet")
	f.Add("\u202e\u2067\x00\ufeff\U000e0001", "strip")
	f.Add("a\u0301\u0301\u0301عربي 12/3 বাংলা", "sheet")
	p, err := docpdf.New(docpdf.Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text, layout string) {
		if _, ok := docpdf.LayoutNamed(layout); !ok {
			layout = "card"
		}
		c := certificate(t, layout, "ar")
		c.Claims[1].Value = text
		c.Issuer = map[string]string{"en": text}
		c.Codes[0].Text, c.Codes[1].Text = alphanumeric(60, 1), alphanumeric(60, 2)
		var b bytes.Buffer
		if _, err := p.Render(&b, c); err != nil {
			t.Fatalf("Render: %v", err)
		}
		_, plain := structure(t, b.Bytes())
		if found := actions.FindString(plain); found != "" {
			t.Fatalf("the file has %s", found)
		}
		if n := strings.Count(plain, "<</Type /Page /StructParents"); n != len(c.Layout.Pages) {
			t.Fatalf("%d pages, want %d", n, len(c.Layout.Pages))
		}
	})
}

// FuzzParseLayout: a layout that is taken can be printed with, or the certificate is
// refused for a reason.
func FuzzParseLayout(f *testing.F) {
	f.Add([]byte(goodLayout))
	f.Add([]byte(strings.Replace(goodLayout, "A5", "21x99", 1)))
	p, err := docpdf.New(docpdf.Config{})
	if err != nil {
		f.Fatal(err)
	}
	boundtest.Fuzz(f, func(t *testing.T, b []byte) {
		l, err := docpdf.ParseLayout(b)
		if err != nil {
			if !errors.Is(err, docpdf.ErrLayout) {
				t.Fatalf("ParseLayout: %v", err)
			}
			return
		}
		c := certificate(t, "card", "en")
		c.Layout = l
		c.Codes[0].Text, c.Codes[1].Text = alphanumeric(60, 1), alphanumeric(60, 2)
		var out bytes.Buffer
		if _, err := p.Render(&out, c); err != nil {
			if !errors.Is(err, docpdf.ErrNoCode) && !errors.Is(err, docpdf.ErrTooDense) {
				t.Fatalf("Render: %v", err)
			}
			return
		}
		structure(t, out.Bytes())
	})
}
