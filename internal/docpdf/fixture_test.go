package docpdf_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/docpdf"
	"github.com/sanad-id/sanad/internal/i18n"
)

// soak says that this is the nightly run.
var soak = os.Getenv("SANAD_SOAK") != ""

// count is how often to try something: per change and in the nightly run.
func count(change, night int) int {
	if soak {
		return night
	}
	return change
}

// scripts are words in every script that the program has a font for, with what shaping
// is about: conjuncts, reordered vowels, joined letters, stacked signs.
var scripts = []struct{ lang, text string }{
	{"en", "Office of AVATAR Ångström"},
	{"pt", "Conceição Guimarães"},
	{"vi", "Nguyễn Thị Việt"},
	{"yo", "Ọláyínká Adébáyọ̀"},
	{"ru", "Алёна Щёкина"},
	{"el", "Αθήνα Ελλάδα"},
	{"bn", "প্রত্যয়িত ক্ষুদ্র শ্রী কৃষ্ণ স্ত্রী রফিকুল ইসলাম"},
	{"ar", "شهادة ميلاد محمد بن عبد الله الإسلام"},
	{"fa", "گواهی تولد پژمان"},
	{"hi", "क्षत्रिय श्री हिन्दी विद्यार्थी"},
	{"km", "ព្រះរាជាណាចក្រកម្ពុជា ស្ត្រី"},
	{"lo", "ສາທາລະນະລັດ ນ້ຳ"},
	{"am", "የኢትዮጵያ ፌዴራላዊ"},
}

// alphanumeric is the text of a code of so many characters.
func alphanumeric(n, seed int) string {
	const set = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
	b := []byte{'6'}
	for i := 1; i < n; i++ {
		seed = (seed*1103515245 + 12345) & 0x7fffffff
		b = append(b, set[(seed>>8)%len(set)])
	}
	b[n-1] = 'Z'
	return string(b)
}

func labels(en, bn, ar string) map[string]string {
	return map[string]string{"en": en, "bn": bn, "ar": ar}
}

// certificate is a good one in a language.
func certificate(tb testing.TB, layout, lang string) docpdf.Certificate {
	tb.Helper()
	l, ok := docpdf.LayoutNamed(layout)
	if !ok {
		tb.Fatalf("no layout %q", layout)
	}
	return docpdf.Certificate{
		Layout: l, Languages: []i18n.Language{i18n.For(lang)},
		Type:   labels("Birth certificate", "জন্ম সনদ", "شهادة ميلاد"),
		Issuer: labels("Civil Registry of Kestara", "কেস্তারা নাগরিক নিবন্ধন", "السجل المدني لكستارا"),
		Number: "7K3M9QX2TDHV", Issued: time.Date(2026, 11, 12, 9, 0, 0, 0, time.UTC), Expires: time.Date(2031, 11, 12, 9, 0, 0, 0, time.UTC),
		Claims: []docpdf.Claim{
			{Name: "number", Labels: labels("Registration number", "নিবন্ধন নম্বর", "رقم القيد"), Kind: "text", Value: "B-07-2019-00000123"},
			{Name: "name", Labels: labels("Name", "নাম", "الاسم"), Kind: "text", Value: "Rafiqul Islam"},
			{Name: "local", Labels: labels("Local name", "স্থানীয় নাম", "الاسم المحلي"), Kind: "text", Value: "মোঃ রফিকুল ইসলাম"},
			{Name: "birth", Labels: labels("Date of birth", "জন্ম তারিখ", "تاريخ الميلاد"), Kind: "date", Value: "20190702"},
		},
		Codes: []docpdf.Code{
			{Form: "qr", Text: alphanumeric(580, 1), Level: "M"}, // version 15
			{Form: "strip", Text: alphanumeric(300, 2), Level: "M", Claims: []string{"number", "name"}},
		},
		Help: "https://registry.example.org/check",
	}
}

func printer(tb testing.TB) *docpdf.Printer {
	tb.Helper()
	p, err := docpdf.New(docpdf.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// render prints a certificate that can be printed.
func render(tb testing.TB, c docpdf.Certificate) ([]byte, []docpdf.Note) {
	tb.Helper()
	var b bytes.Buffer
	notes, err := printer(tb).Render(&b, c)
	if err != nil {
		tb.Fatal(err)
	}
	return b.Bytes(), notes
}

var xref = regexp.MustCompile(`\nstartxref\n([0-9]+)\n%%EOF\n$`)

// structure checks that a file is whole, and returns what of it is no stream: each
// object stands where the table says, in the order of the file, and nothing else.
func structure(tb testing.TB, file []byte) (objects int, plain string) {
	tb.Helper()
	m := xref.FindSubmatch(file)
	if m == nil {
		tb.Fatal("the file does not end as PDF files do")
	}
	start, err := strconv.Atoi(string(m[1]))
	if err != nil || !bytes.HasPrefix(file[start:], []byte("xref\n0 ")) {
		tb.Fatal("startxref points elsewhere")
	}
	lines := strings.Split(string(file[start:]), "\n")
	n, err := strconv.Atoi(strings.TrimPrefix(lines[1], "0 "))
	if err != nil {
		tb.Fatal(err)
	}
	seen := map[int]bool{}
	var out strings.Builder
	for i := 1; i < n; i++ {
		offset, err := strconv.Atoi(lines[2+i][:10])
		if err != nil {
			tb.Fatal(err)
		}
		if head := fmt.Sprintf("%d 0 obj\n", i); !bytes.HasPrefix(file[offset:], []byte(head)) || seen[offset] {
			tb.Fatalf("object %d is not where the table says", i)
		}
		seen[offset] = true
		body := file[offset:start]
		if s := bytes.Index(body, []byte("stream\n")); s >= 0 && s < bytes.Index(body, []byte("endobj")) {
			body = body[:s]
		} else {
			body = body[:bytes.Index(body, []byte("endobj"))]
		}
		out.Write(body)
	}
	out.WriteString(strings.Join(lines, "\n"))
	return n - 1, out.String()
}

// tool runs a program of poppler-utils on a file.
func tool(t *testing.T, name string, file []byte, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("SANAD_REQUIRE_POPPLER") == "1" {
			t.Fatalf("no %s, and SANAD_REQUIRE_POPPLER=1", name)
		}
		t.Skipf("no %s (poppler-utils)", name)
	}
	in := filepath.Join(t.TempDir(), "in.pdf")
	if err := os.WriteFile(in, file, 0o600); err != nil {
		t.Fatal(err)
	}
	for i, a := range args {
		args[i] = strings.ReplaceAll(a, "IN", in)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("%s: %v %s", name, err, stderr.String())
	}
	return out
}

// words are the words of a file, as other programs read them.
func words(t *testing.T, file []byte, args ...string) string {
	t.Helper()
	text := string(tool(t, "pdftotext", file, append(args, "IN", "-")...))
	return strings.Map(func(r rune) rune {
		if r >= 0x202a && r <= 0x202e || r == 0x200e || r == 0x200f {
			return -1 // marks of direction that pdftotext adds
		}
		return r
	}, text)
}

// picture is a page as a picture.
func picture(t *testing.T, file []byte, page, dpi int) []byte {
	t.Helper()
	return tool(t, "pdftoppm", file, "-png", "-gray", "-r", strconv.Itoa(dpi), "-f", strconv.Itoa(page), "-l", strconv.Itoa(page), "IN")
}
