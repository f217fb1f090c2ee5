package console_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/work"
)

// TestEveryCodeHasItsSentence: where a page puts a code behind the beginning of a key,
// there is a sentence for each code.
func TestEveryCodeHasItsSentence(t *testing.T) {
	for _, why := range batchwork.Whys() {
		if key := "manage.why." + string(why); !i18n.Has(key) {
			t.Errorf("there is no sentence %s", key)
		}
	}
	for _, code := range work.ProblemCodes() {
		if key := "work.problem." + code; !i18n.Has(key) {
			t.Errorf("there is no sentence %s", key)
		}
	}
}

// TestSentencesAndSources compares the keys that programs and pages name with those of
// the catalogues: none is missing; what is left over is told by -v.
func TestSentencesAndSources(t *testing.T) {
	const root = "../.."
	areas := []string{"console", "staff", "work", "manage", "paper"} // those of the console and of print
	literal := regexp.MustCompile("[\"`](" + strings.Join(areas, "|") + `)\.([a-z0-9_]+\.?)*["` + "`]")
	notKey := regexp.MustCompile(`\.(go|html|css|js|json|yaml|svg|db|pdf|csv|age)$`)
	named := map[string]string{}
	for _, dir := range []string{"web", "staff", "work", "batchwork", "cmd", "internal/docpdf", "store/desk"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if os.IsNotExist(err) {
				return nil
			}
			page := strings.HasSuffix(path, ".html") || strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go")
			if err != nil || d.IsDir() || !page {
				return err
			}
			b, err := os.ReadFile(path)
			for _, s := range literal.FindAllString(string(b), -1) {
				if key := s[1 : len(s)-1]; !notKey.MatchString(key) {
					named[key] = path
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var keys []string
	for _, area := range areas {
		b, err := os.ReadFile(filepath.Join(root, "internal", "i18n", "catalog", area+".en.json"))
		if err != nil {
			t.Fatal(err)
		}
		var c map[string]string
		if err := json.Unmarshal(b, &c); err != nil {
			t.Fatal(err)
		}
		for key := range c {
			keys = append(keys, key)
		}
	}
	// What a source names is a key, one of several plural forms, or the beginning of keys
	// whose end is a code.
	for key, path := range named {
		if !i18n.Has(key) && !slices.ContainsFunc(keys, func(k string) bool { return strings.HasPrefix(k, strings.TrimSuffix(key, ".")+".") }) {
			t.Errorf("%s names %s, for which there is no sentence", path, key)
		}
	}
	form := regexp.MustCompile(`\.(zero|one|two|few|many|other)$`)
	for _, key := range keys {
		_, found := named[key]
		for name := range named {
			found = found || name == form.ReplaceAllString(key, "") || strings.HasSuffix(name, ".") && strings.HasPrefix(key, name) ||
				strings.HasSuffix(key, ".title") && name == strings.TrimSuffix(key, ".title")
		}
		if !found {
			t.Logf("no source names the sentence %s", key)
		}
	}
}
