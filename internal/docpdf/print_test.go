package docpdf_test

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/docpdf"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/qr/image"
)

// TestWordsComeBack prints words of every script and has another program read them.
func TestWordsComeBack(t *testing.T) {
	c := certificate(t, "sheet", "en")
	c.Claims = nil
	for i, s := range scripts {
		c.Claims = append(c.Claims, docpdf.Claim{Name: fmt.Sprint("c", i), Labels: map[string]string{"en": "Name " + s.lang}, Kind: "text", Value: s.text})
	}
	c.Codes[1].Claims = []string{"c0"}
	file, notes := render(t, c)
	if len(notes) > 0 {
		t.Errorf("notes %v, want none", notes)
	}
	if to := os.Getenv("SANAD_PRINT_TO"); to != "" { // to look at
		if err := os.WriteFile(to, file, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := words(t, file, "-raw")
	for _, s := range scripts {
		for word := range strings.FieldsSeq(s.text) {
			if !strings.Contains(text, word) {
				t.Errorf("%s: %q is not in the text of the file", s.lang, word)
			}
		}
	}
}

// TestMixedDirections: in a line of two directions every word comes back, and what
// stands left of what is the order of UAX #9.
func TestMixedDirections(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		left       []string // from left to right, as numbers and Latin words stand
	}{
		{"Arabic with a number, in a Latin line", "Name: محمد 12 سنة end", []string{"Name:", "سنة", "12", "محمد", "end"}},
		{"Latin in an Arabic line", "رقم B-07 من 2026 تمام", []string{"تمام", "2026", "من", "B-07", "رقم"}},
		{"brackets in an Arabic line", "عبد (b. 1960) محمد", []string{"محمد", "1960", "عبد"}},
		{"two scripts in an Arabic line", "اسم Rafiq রফিক هنا", []string{"هنا", "Rafiq", "রফিক", "اسم"}},
		{"Bengali and Arabic", "রফিক محمد علي ইসলাম", []string{"রফিক", "علي", "محمد", "ইসলাম"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := certificate(t, "sheet", "en")
			c.Claims = []docpdf.Claim{{Name: "name", Labels: labels("L", "L", "L"), Kind: "text", Value: tt.text}}
			file, _ := render(t, c)
			boxes := words(t, file, "-bbox")
			last := -1.0
			for _, word := range tt.left {
				x, ok := leftOf(boxes, word)
				if !ok {
					t.Fatalf("%q is not in the text of the file", word)
				}
				if x <= last {
					t.Errorf("%q stands at %.1f, which is not right of what comes before it", word, x)
				}
				last = x
			}
		})
	}
}

// leftOf finds the left end of a word in the output of pdftotext -bbox, which writes
// words that run from the right with their letters as they stand.
func leftOf(boxes, word string) (x float64, ok bool) {
	r := []rune(word)
	slices.Reverse(r)
	for line := range strings.Lines(boxes) {
		_, inner, found := strings.Cut(line, ">")
		inner, _, _ = strings.Cut(inner, "</word>")
		inner = strings.Trim(inner, "()")
		if found && (inner == word || inner == string(r)) {
			_, err := fmt.Sscanf(strings.TrimSpace(line), `<word xMin="%f"`, &x)
			return x, err == nil
		}
	}
	return 0, false
}

// TestScanBack prints every layout in languages of both directions at its own size,
// looks at it as a scanner of 300 dots an inch does, and reads its codes. Nothing is to
// be changed about them.
func TestScanBack(t *testing.T) {
	langs := map[string][]string{"sheet": {"en"}, "card": {"ar"}, "strip": {"ar"}}
	for layout, langs := range langs {
		if soak {
			langs = []string{"en", "fr", "pt", "sw", "bn", "ar"}
		}
		for _, lang := range langs {
			t.Run(layout+" "+lang, func(t *testing.T) {
				c := certificate(t, layout, lang)
				// The largest codes that the layout takes: version 20 by level M.
				c.Codes[0].Text, c.Codes[1].Text = alphanumeric(960, 3), alphanumeric(640, 4)
				file, notes := render(t, c)
				if len(notes) > 0 {
					t.Errorf("notes %v, want none", notes)
				}
				var read []string
				for page := range c.Layout.Pages {
					scans, err := image.Inspect(picture(t, file, page+1, 300))
					if err != nil && !errors.Is(err, image.ErrNoCode) {
						t.Fatal(err)
					}
					for _, s := range scans {
						read = append(read, s.Text)
						if advice := s.Advice(300); len(advice) > 0 && s.Version > 3 {
							t.Errorf("version %d at %.2f mm: to be changed: %v", s.Version, s.Millimetres(300), advice)
						}
					}
				}
				want := map[string][]string{
					"sheet": {c.Codes[0].Text, c.Codes[1].Text, c.Help}, "card": {c.Codes[0].Text, c.Help}, "strip": {c.Codes[1].Text},
				}[layout]
				slices.Sort(want)
				slices.Sort(read)
				if !slices.Equal(read, want) {
					t.Errorf("read %d codes, want these %d", len(read), len(want))
				}
			})
		}
	}
}

// TestSameCertificateSameFile: printing again gives the same bytes, from another
// printer and as part of a batch of one.
func TestSameCertificateSameFile(t *testing.T) {
	c := certificate(t, "sheet", "bn")
	first, _ := render(t, c)
	second, _ := render(t, c)
	if !bytes.Equal(first, second) {
		t.Error("the same certificate gave two different files")
	}
	c.Number = "7K3M9QX2TDHW"
	if other, _ := render(t, c); bytes.Equal(first, other) {
		t.Error("another number gave the same file")
	}
}

// TestFileSaysWhatItIs: title, language, date and tags, for programs that read to
// people, and nobody's name among them.
func TestFileSaysWhatItIs(t *testing.T) {
	file, _ := render(t, certificate(t, "sheet", "ar"))
	_, plain := structure(t, file)
	for _, want := range []string{
		"/Lang (ar)", "/MarkInfo <</Marked true>>", "/StructTreeRoot", "/S /H1", "/S /Figure", "/DisplayDocTitle true", "/Direction /R2L",
		"/CreationDate (D:20261112090000Z)", "/PrintScaling /None",
	} {
		if !strings.Contains(plain, want) {
			t.Errorf("the file does not say %s", want)
		}
	}
	info := string(tool(t, "pdfinfo", file, "IN"))
	if !strings.Contains(info, "شهادة ميلاد – السجل المدني لكستارا") || !strings.Contains(info, "Tagged:          yes") {
		t.Errorf("title or tags are not read: %s", info)
	}
	if strings.Contains(info, "Rafiqul") {
		t.Error("the title has a name")
	}
	file, _ = render(t, certificate(t, "sheet", "en"))
	tags := string(tool(t, "pdfinfo", file, "-struct-text", "IN"))
	for _, want := range []string{"H1", "Figure", "Birth certificate", "Rafiqul Islam"} {
		if !strings.Contains(tags, want) {
			t.Errorf("the tags have no %s", want)
		}
	}
}

// TestDocument prints many certificates into one file: all pages are there in their
// order, in parts, and memory does not grow with them.
func TestDocument(t *testing.T) {
	n := count(3*docpdf.PartPages+5, 3000)
	var b bytes.Buffer
	base := certificate(t, "strip", "en")
	d := printer(t).Document(&b, base.Info())
	var after, most uint64
	for i := range n {
		c := base
		c.Codes = slices.Clone(base.Codes)
		c.Claims = slices.Clone(base.Claims)
		c.Claims[0].Value = fmt.Sprintf("N-%05d", i)
		if i == docpdf.PartPages/2 {
			// One that cannot be printed leaves the others alone.
			bad := c
			bad.Codes = bad.Codes[:1]
			if _, err := d.Add(bad); !errors.Is(err, docpdf.ErrNoCode) {
				t.Fatalf("Add: %v, want ErrNoCode", err)
			}
		}
		if _, err := d.Add(c); err != nil {
			t.Fatal(err)
		}
		if (i+1)%docpdf.PartPages == 0 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			// What is written is kept by this test alone.
			held := m.HeapAlloc - uint64(b.Cap())
			if after == 0 {
				after = held
			}
			most = max(most, held)
		}
	}
	if d.Count() != n || d.Pages() != n {
		t.Errorf("%d certificates on %d pages, want %d of both", d.Count(), d.Pages(), n)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if grown := int64(most) - int64(after); grown > 4<<20 {
		t.Errorf("%d certificates hold %d kB more than the first %d", n, grown>>10, docpdf.PartPages)
	}
	if _, err := d.Add(base); err == nil {
		t.Error("added to a file that is closed")
	}
	objects, _ := structure(t, b.Bytes())
	text := words(t, b.Bytes(), "-raw")
	at := 0
	for i := range n {
		next := strings.Index(text[at:], fmt.Sprintf("N-%05d", i))
		if next < 0 {
			t.Fatalf("certificate %d is not in its place", i)
		}
		at += next
	}
	t.Logf("%d certificates: %d bytes and %.1f objects each", n, b.Len()/n, float64(objects)/float64(n))
}

// TestDatesAsPeopleWriteThem: dates stand in words and in the digits of the page, as far
// as they are known, and a name in another language is marked as such.
func TestDatesAsPeopleWriteThem(t *testing.T) {
	for lang, want := range map[string][]string{
		"en": {"2 July 2019", "November 1962", "1990"}, "bn": {"২ জুলাই ২০১৯", "নভেম্বর ১৯৬২", "১৯৯০"}, "ar": {"يوليو", "نوفمبر", "1990"},
	} {
		c := certificate(t, "sheet", lang)
		c.Claims[2].Language = "bn"
		c.Claims = append(c.Claims,
			docpdf.Claim{Name: "known", Labels: labels("Known", "জানা", "المعروف"), Kind: "date", Value: "1962-11"},
			docpdf.Claim{Name: "year", Labels: labels("Year", "সাল", "السنة"), Kind: "date", Value: "1990"})
		file, _ := render(t, c)
		text := words(t, file, "-raw")
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s: %q is not on the paper", lang, w)
			}
		}
		for _, raw := range []string{"20190702", "1962-11"} {
			if strings.Contains(text, raw) {
				t.Errorf("%s: %q stands as it is in the code", lang, raw)
			}
		}
		if marked := bytes.Contains(unpacked(t, file), []byte("/Lang (bn)>> BDC")); marked != (lang != "bn") {
			t.Errorf("%s: the Bengali name is marked as Bengali: %v", lang, marked)
		}
	}
}

// TestTwoLanguages: labels stand in both, values and dates in the first.
func TestTwoLanguages(t *testing.T) {
	c := certificate(t, "sheet", "bn")
	c.Languages = append(c.Languages, i18n.For("en"))
	file, _ := render(t, c)
	text := words(t, file, "-raw")
	for _, want := range []string{"জন্ম সনদ", "Birth certificate", "Registration", "২ জুলাই ২০১৯"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not on the paper", want)
		}
	}
}

// TestFontsOfAFolder: a script that the program has no font for is printed with one of
// the office.
func TestFontsOfAFolder(t *testing.T) {
	if _, err := docpdf.New(docpdf.Config{Fonts: []string{t.TempDir()}}); !errors.Is(err, docpdf.ErrFont) {
		t.Errorf("an empty folder: %v, want ErrFont", err)
	}
	if _, err := docpdf.New(docpdf.Config{Fonts: []string{"testdata/none"}}); err == nil {
		t.Error("a folder that is not there was taken")
	}
}

// unpacked is what the compressed streams of a file hold.
func unpacked(t *testing.T, file []byte) []byte {
	t.Helper()
	var all bytes.Buffer
	for _, after := range bytes.Split(file, []byte("stream\n"))[1:] {
		if z, err := zlib.NewReader(bytes.NewReader(after)); err == nil {
			_, _ = io.Copy(&all, io.LimitReader(z, 8<<20)) // what follows the stream is no error here
		}
	}
	return all.Bytes()
}
