// Package sanad_test holds the tests that keep the tree honest: which package
// may import which, that every package says what it is for, and that what the
// README and the examples promise is so.
package sanad_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/sanad-id/sanad/"

// layers is the order of imports: a package imports from lines above its own
// only. A package is listed when it gets its directory.
var layers = []string{
	"internal/boundtest internal/cbor internal/copytext internal/durable internal/i18n internal/p256 internal/safecsv internal/strictyaml internal/visible qr qr/symbol internal/strict",
	"keys registry staff internal/published",
	"internal/cose internal/jose keys/chain keys/disclosed audit",
	"credential did",
	"credential/cwt credential/sdjwt credential/status programme/crosswalk",
	"trust programme",
	"issuance verification oid4vci oid4vp",
	"batchwork figures fsck wallet verification/explain work",
	"web/scanner/engine web/pocket/engine",
	// Above this line: no network, no database, no cgo.
	"qr/image internal/vectors internal/cli internal/sqldb internal/pgtest internal/faultproxy internal/fetch internal/redistest internal/web internal/chrometest internal/oidctest",
	"internal/loadtest registry/csvfile registry/samplecountry registry/sqltable store store/once store/desk store/parties internal/docpdf internal/webpage",
	"web/pocket web/scanner",
	"keys/keystest registry/registrytest store/storetest backup internal/officetest api/issuer api/verifier web/console work/worktest",
	"cmd/issuer cmd/verifier bench proof cmd/wallet-cli web/scanner/wasm web/pocket/wasm examples/relying-party examples/login-provider",
	"interop",
}

// pureLines is how many of them stand above the line.
const pureLines = 9

// owner is the one package that may import a module, or the few of them.
var owner = map[string]string{
	"github.com/alexedwards/scs/v2":       "web/console",
	"github.com/go-webauthn/webauthn":     "web/console",
	"github.com/coreos/go-oidc/v3":        "api/issuer",
	"golang.org/x/oauth2":                 "api/issuer",
	"github.com/lestrrat-go/jwx/v2":       "internal/jose",
	"github.com/veraison/go-cose":         "internal/cose",
	"github.com/fxamacker/cbor/v2":        "internal/cbor",
	"github.com/skip2/go-qrcode":          "qr/image",
	"github.com/makiuchi-d/gozxing":       "qr/image",
	"golang.org/x/mod":                    "audit",
	"modernc.org/sqlite":                  "internal/sqldb store store/once store/desk store/parties registry/sqltable",
	"github.com/riverqueue/river":         "store",
	"github.com/pressly/goose/v3":         "store",
	"github.com/jackc/pgx/v5":             "internal/sqldb store store/once store/desk store/parties registry/sqltable internal/pgtest internal/faultproxy",
	"github.com/redis/go-redis/v9":        "internal/web",
	"github.com/go-redis/redis_rate/v10":  "internal/web",
	"golang.org/x/time":                   "internal/web",
	"github.com/prometheus/client_golang": "internal/web",
	"filippo.io/age":                      "backup wallet",
	"filippo.io/nistec":                   "internal/p256",
	"github.com/klauspost/compress":       "backup",
	"github.com/schollz/progressbar/v3":   "cmd/issuer",
	"golang.org/x/text/encoding":          "registry/csvfile",
	"golang.org/x/crypto/argon2":          "keys",
	"github.com/multiformats":             "did",
	"github.com/chromedp":                 "internal/chrometest",
	"codeberg.org/go-pdf/fpdf":            "internal/docpdf",
	"github.com/go-text/typesetting":      "internal/docpdf",
	"golang.org/x/image":                  "internal/docpdf",
}

// testOnly are modules that no shipped code imports.
var testOnly = []string{
	"github.com/rogpeppe/go-internal", "pgregory.net/rapid", "github.com/google/go-cmp", "github.com/c2sp/wycheproof",
	"github.com/stretchr/testify", "github.com/descope/virtualwebauthn",
}

// pureModules are the foreign modules that a pure package may import.
var pureModules = []string{
	"github.com/lestrrat-go/jwx/v2", "github.com/veraison/go-cose", "github.com/fxamacker/cbor/v2", "golang.org/x/mod", "golang.org/x/crypto",
	"golang.org/x/text", "filippo.io/age", "filippo.io/nistec", "github.com/multiformats/go-multibase", "golang.org/x/sync", "golang.org/x/sys", "go.yaml.in/yaml/v3",
}

// line is the line of layers on which pkg stands, or -1 if it is not ours.
func line(pkg string) int {
	return slices.IndexFunc(layers, func(l string) bool { return slices.Contains(strings.Fields(l), pkg) })
}

func TestImportsPointUp(t *testing.T) {
	for pkg, imports := range importsByPackage(t) {
		if line(pkg) < 0 {
			t.Errorf("%s has no place in layers", pkg)
		}
		for _, imp := range imports {
			if line(imp) >= line(pkg) {
				t.Errorf("%s imports %s, which is not above it", pkg, imp)
			}
		}
	}
}

func TestEveryLayerExists(t *testing.T) {
	pkgs := importsByPackage(t)
	for _, l := range layers {
		for _, pkg := range strings.Fields(l) {
			if _, ok := pkgs[pkg]; !ok {
				t.Errorf("layers lists %s, which has no code", pkg)
			}
		}
	}
}

// TestArchitectureNamesEveryRoom: whoever looks for a package finds its line.
func TestArchitectureNamesEveryRoom(t *testing.T) {
	page, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range strings.Fields(strings.Join(layers, " ")) {
		if !bytes.Contains(page, []byte("`"+pkg+"`")) {
			t.Errorf("the table of ARCHITECTURE.md has no %s", pkg)
		}
	}
}

func TestForeignImports(t *testing.T) {
	impure := []string{"net", "net/http", "database/sql", "os/exec", "C", "unsafe", "plugin"}
	for pkg, imports := range importsByPackage(t) {
		for _, imp := range imports {
			pure := line(pkg) >= 0 && line(pkg) < pureLines
			if pure && slices.Contains(impure, imp) {
				t.Errorf("%s imports %s", pkg, imp)
			}
			foreign := strings.Contains(strings.Split(imp, "/")[0], ".")
			if pure && foreign && !slices.ContainsFunc(pureModules, func(m string) bool { return within(imp, m) }) {
				t.Errorf("%s imports %s, which is not listed for pure packages", pkg, imp)
			}
			if slices.ContainsFunc(testOnly, func(m string) bool { return within(imp, m) }) {
				t.Errorf("%s imports %s, which is for tests", pkg, imp)
			}
			for mod, only := range owner {
				if !slices.Contains(strings.Fields(only), pkg) && within(imp, mod) {
					t.Errorf("%s imports %s, which belongs to %q", pkg, imp, only)
				}
			}
		}
	}
}

// scanner is what the browser's verifier will be built from. Nothing in it may
// reach a network, a database or the file formats of an issuer. What a file takes that
// is not built for a browser (internal/p256) is listed with the rest.
const scanner = "keys internal/p256 internal/cbor internal/cose internal/durable internal/strict credential credential/cwt credential/status qr trust verification"

func TestScannerStaysSmall(t *testing.T) {
	pkgs := importsByPackage(t)
	for _, pkg := range strings.Fields(scanner) {
		for _, imp := range pkgs[pkg] {
			if line(imp) >= 0 && !slices.Contains(strings.Fields(scanner), imp) {
				t.Errorf("%s, which the scanner needs, imports %s", pkg, imp)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	documented := map[string]bool{}
	eachFile(t, parser.ParseComments|parser.PackageClauseOnly, func(pkg string, f *ast.File) {
		documented[pkg] = documented[pkg] || f.Doc != nil && len(f.Doc.Text()) > 60
	})
	for pkg, ok := range documented {
		if !ok {
			t.Errorf("%s has no package comment", pkg)
		}
	}
}

// unbounded are the fuzz targets of what parses nothing from others.
var unbounded = map[string]string{
	"credential/status FuzzDeflate":  "writes",
	"internal/docpdf FuzzRender":     "writes",
	"internal/safecsv FuzzAppendRow": "writes",
	"qr FuzzEncode":                  "writes",
	"qr/symbol FuzzMake":             "writes",
	"registry/csvfile FuzzRecords":   "reads each record several times; FuzzScan is bounded",
	"store FuzzOpen":                 "spoils a database that is its own",
}

// TestEveryParserIsBounded: the fuzz targets of parsers run within the bounds of promise P16.
func TestEveryParserIsBounded(t *testing.T) {
	target := regexp.MustCompile(`(?ms)^func (Fuzz\w+)\(f \*testing\.F\).*?^}`)
	found := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range target.FindAllSubmatch(text, -1) {
			found++
			name := filepath.ToSlash(filepath.Dir(path)) + " " + string(m[1])
			if bounded := bytes.Contains(m[0], []byte("boundtest.Fuzz")); bounded == (unbounded[name] != "") {
				t.Errorf("%s: bounded is %v", name, bounded)
			}
		}
		return err
	})
	if err != nil || found < 90 {
		t.Fatalf("%d fuzz targets, %v", found, err)
	}
}

// ways out of the machine, by the package that has them. Servers are no way out, and
// databases have drivers of their own, which connect to what the settings name.
var waysOut = map[string][]string{
	"net/http":          {"Client", "Get", "Post", "PostForm", "Head", "DefaultClient", "DefaultTransport", "Transport", "NewRequest", "NewRequestWithContext", "RoundTripper"},
	"net":               {"Dial", "DialTimeout", "Dialer", "DialTCP", "DialUDP", "DialIP", "DialUnix", "DefaultResolver", "Resolver", "LookupHost", "LookupIP", "LookupAddr", "LookupCNAME", "LookupTXT", "LookupMX", "LookupNS", "LookupSRV"},
	"crypto/tls":        {"Dial", "DialWithDialer", "Dialer", "Client"},
	"net/http/httputil": {"ReverseProxy", "NewSingleHostReverseProxy", "NewClientConn"},
	"net/rpc":           {"Dial", "DialHTTP", "DialHTTPPath"},
	"net/smtp":          {"Dial", "SendMail", "NewClient"},
	"net/rpc/jsonrpc":   {"Dial"},
	"log/syslog":        {"Dial"},
}

// atHome are the packages that may have one beside internal/fetch: those that start
// databases, proxies and a browser for tests or play clients, and are imported by tests only; bench, which
// asks servers of its own; and the sample of somebody else's website, which has nothing of ours.
var atHome = []string{"internal/fetch", "internal/pgtest", "internal/faultproxy", "internal/redistest", "internal/chrometest", "internal/loadtest", "bench", "examples/relying-party"}

// TestOneWayOut: who asks other machines goes through internal/fetch, which knows
// where it must not go (promise P25).
func TestOneWayOut(t *testing.T) {
	eachFile(t, 0, func(pkg string, f *ast.File) {
		if slices.Contains(atHome, pkg) {
			return
		}
		for _, found := range usesOf(f, waysOut) {
			if (pkg == "store" || pkg == "store/once") && found == "net.Dialer" {
				continue // the timeouts of the connection to the database
			}
			t.Errorf("%s uses %s, which belongs to internal/fetch", pkg, found)
		}
	})
	for pkg, imports := range importsByPackage(t) {
		for _, imp := range imports {
			if slices.Contains(atHome[1:], imp) && !slices.Contains(atHome, pkg) && !testSupport(pkg) {
				t.Errorf("%s imports %s, which is for tests", pkg, imp)
			}
		}
	}
}

// testSupport reports whether pkg is imported by tests only.
func testSupport(pkg string) bool {
	return strings.HasSuffix(pkg, "test") || pkg == "proof" || pkg == "bench"
}

// usesOf names what a file uses of these names by package, whatever it calls the packages.
func usesOf(f *ast.File, of map[string][]string) []string {
	names := map[string]string{} // what the file calls a package
	var found []string
	for _, spec := range f.Imports {
		path := strings.Trim(spec.Path.Value, "`\"")
		if _, ok := of[path]; !ok {
			continue
		}
		name := path[strings.LastIndex(path, "/")+1:]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if name == "." {
			found = append(found, path+" under no name")
		}
		names[name] = path
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && slices.Contains(of[names[x.Name]], s.Sel.Name) {
				found = append(found, names[x.Name]+"."+s.Sel.Name)
			}
		}
		return true
	})
	return found
}

// TestOneWayOutSees: the test above finds what it is for.
func TestOneWayOutSees(t *testing.T) {
	for text, want := range map[string]int{
		`import "net/http"; var _ = http.DefaultClient`:                                            1,
		`import web "net/http"; var _ web.Client`:                                                  1,
		`import . "net/http"; var _ Client`:                                                        1,
		`import "net"; func f() { net.Dial("tcp", "a:1") }`:                                        1,
		`import "net"; func f() { (&net.Dialer{}).Dial("tcp", "a:1") }`:                            1,
		`import "crypto/tls"; func f() { tls.Dial("tcp", "a:1", nil) }`:                            1,
		`import "net/http/httputil"; var _ httputil.ReverseProxy`:                                  1,
		`import "net/http"; var _ = http.Server{}; var _ http.Handler`:                             0,
		`import "net"; var _ net.Listener; func f() { net.Listen("tcp", ":1") }`:                   0,
		`import "example.org/http"; var _ = http.DefaultClient`:                                    0,
		`import "net/http"; func f(r *http.Request) { http.NotFound(nil, r) }`:                     0,
		`import "net/http"; func f(c interface{ Get(string) }) { c.Get("/") }; var _ http.Handler`: 0,
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x; "+text, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := usesOf(f, waysOut); len(got) != want {
			t.Errorf("%s: found %v, want %d", text, got, want)
		}
	}
}

// vouching makes a bundle of what nobody signed.
var vouching = map[string][]string{module + "trust": {"Voucher"}}

// TestOneVoucher: only the server, which has roots in its settings and asks for lists, judges
// by what no trust bundle says (decision 0058).
func TestOneVoucher(t *testing.T) {
	found := 0
	eachFile(t, 0, func(pkg string, f *ast.File) {
		uses := usesOf(f, vouching)
		if found += len(uses); len(uses) > 0 && pkg != "api/verifier" {
			t.Errorf("%s uses %v, which belongs to api/verifier", pkg, uses)
		}
	})
	if found == 0 {
		t.Error("nobody uses a trust.Voucher: does this test still see it?")
	}
	for text, want := range map[string]int{
		`var _ = trust.Voucher{By: "me"}.Bundle()`:    1,
		`var v trust.Voucher`:                         1,
		`func f(v *trust.Voucher) { _ = v.Bundle() }`: 1,
		`var _ *trust.Bundle`:                         0,
		`var _ = wallet.Voucher("bundle")`:            0,
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x; import (\""+module+"trust\"; \""+module+"wallet\"); "+text, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := usesOf(f, vouching); len(got) != want {
			t.Errorf("%s: found %v, want %d", text, got, want)
		}
	}
}

func within(path, module string) bool {
	return path == module || strings.HasPrefix(path, module+"/")
}

// importsByPackage reads our files itself and does not ask go list, because go
// test would then reuse a result from before the file changed.
func importsByPackage(t *testing.T) map[string][]string {
	t.Helper()
	pkgs := map[string][]string{}
	eachFile(t, parser.ImportsOnly, func(pkg string, f *ast.File) {
		imports := pkgs[pkg]
		for _, spec := range f.Imports {
			imports = append(imports, strings.TrimPrefix(strings.Trim(spec.Path.Value, "`\""), module))
		}
		pkgs[pkg] = imports
	})
	return pkgs
}

// eachFile parses every Go file of ours that is not a test.
func eachFile(t *testing.T, mode parser.Mode, f func(pkg string, file *ast.File)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		ours := strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go")
		if err != nil || !ours || strings.Contains(path, "testdata") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, mode)
		if err != nil {
			return err
		}
		f(filepath.ToSlash(filepath.Dir(path)), file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
