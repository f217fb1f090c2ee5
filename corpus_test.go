package sanad_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// corpus is how many attacks each group of the corpus has; they are numbered from 1.
var corpus = map[string]int{
	"JWS": 19, "SIG": 9, "JSON": 8, "SDJ": 16, "KB": 7, "CBOR": 6, "COSE": 6, "CWT": 1, "QR": 6, "MD": 12, "X": 8, "W3C": 13, "DID": 12, "ST": 16, "VCI": 23, "OA": 12,
	"VP": 20, "WA": 19, "NET": 9, "DB": 19, "KEY": 10, "AUD": 9, "OUT": 12, "OFF": 9,
}

var (
	attackName = regexp.MustCompile(`\b([A-Z][A-Z0-9]*)-([0-9]{2})\b`)
	attackFunc = regexp.MustCompile(`^Test([A-Z]+)([0-9]{2})`)
	attackRow  = regexp.MustCompile(`^\| ([A-Z][A-Z0-9]*-[0-9]{2}) \| (.+) \| (.+) \|$`)
	testedBy   = regexp.MustCompile("^`([a-z0-9/-]+)` `([A-Za-z0-9]+)`$")
)

// TestCorpus: docs/corpus.md has a line for each attack of the corpus, and what it says is
// there: the test is in the package, and its name, its comment or one of its rows bears the
// number. An attack without a test is one on a part that is not built.
func TestCorpus(t *testing.T) {
	page, err := os.ReadFile("docs/corpus.md")
	if err != nil {
		t.Fatal(err)
	}
	named, told := testsByAttack(t), map[string]bool{}
	for text := range strings.Lines(string(page)) {
		row := attackRow.FindStringSubmatch(strings.TrimSpace(text))
		if row == nil {
			continue
		}
		id, where := row[1], row[3]
		if told[id] {
			t.Errorf("%s stands there twice", id)
		}
		told[id] = true
		if strings.HasPrefix(where, "not built") {
			if len(named[id]) > 0 {
				t.Errorf("%s is said not to be built, and %v test it", id, slices.Sorted(maps.Keys(named[id])))
			}
			continue
		}
		for ref := range strings.SplitSeq(where, ", ") {
			if !testedBy.MatchString(ref) {
				t.Errorf("%s: %q is no package and test", id, ref)
			} else if !named[id][ref] {
				t.Errorf("%s: %s has no row of that name; these have: %s", id, ref, strings.Join(slices.Sorted(maps.Keys(named[id])), ", "))
			}
		}
	}
	for group, n := range corpus {
		for i := 1; i <= n; i++ {
			if id := fmt.Sprintf("%s-%02d", group, i); !told[id] {
				t.Errorf("%s is missing; tests of it: %s", id, strings.Join(slices.Sorted(maps.Keys(named[id])), ", "))
			}
			delete(told, fmt.Sprintf("%s-%02d", group, i))
		}
	}
	for id := range told {
		t.Errorf("%s is not in the corpus", id)
	}
}

// testsByAttack are the declarations whose name or comment, or a text in which, bears the
// number of an attack: of test files, and of the packages of contract tests. A test is
// written as `PACKAGE` `NAME`.
func testsByAttack(t *testing.T) map[string]map[string]bool {
	t.Helper()
	found := map[string]map[string]bool{}
	note := func(path, name, group, number string) {
		if n, err := strconv.Atoi(number); err != nil || n < 1 || n > corpus[group] {
			return
		}
		id := group + "-" + number
		if found[id] == nil {
			found[id] = map[string]bool{}
		}
		found[id]["`"+filepath.ToSlash(filepath.Dir(path))+"` `"+name+"`"] = true
	}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.Contains(path, "testdata") || strings.Contains(path, "node_modules") {
			return err
		}
		if !strings.HasSuffix(path, "_test.go") && !strings.HasSuffix(filepath.Dir(path), "test") || path == "corpus_test.go" {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range f.Decls {
			name := declared(decl)
			if m := attackFunc.FindStringSubmatch(name); m != nil {
				note(path, name, m[1], m[2])
			}
			if test, ok := decl.(*ast.FuncDecl); ok && strings.HasPrefix(name, "Test") {
				for _, m := range attackName.FindAllStringSubmatch(test.Doc.Text(), -1) {
					note(path, name, m[1], m[2])
				}
			}
			ast.Inspect(decl, func(n ast.Node) bool {
				if text, ok := n.(*ast.BasicLit); ok && text.Kind == token.STRING {
					for _, m := range attackName.FindAllStringSubmatch(text.Value, -1) {
						note(path, name, m[1], m[2])
					}
				}
				return true
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// declared is the name of a function or of the first of some variables.
func declared(decl ast.Decl) string {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		return d.Name.Name
	case *ast.GenDecl:
		if len(d.Specs) > 0 {
			if v, ok := d.Specs[0].(*ast.ValueSpec); ok {
				return v.Names[0].Name
			}
		}
	}
	return "_"
}
