package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sanad-id/sanad/api/issuer"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/pgtest"
	"github.com/sanad-id/sanad/internal/published"
	"github.com/sanad-id/sanad/keys"
)

// TestSigningAlgorithm: the metadata name the algorithm of the key that signs, not of one that
// is planned.
func TestSigningAlgorithm(t *testing.T) {
	ks, err := keyCost.CreateFile(filepath.Join(t.TempDir(), "keystore"), []byte("a passphrase for tests"), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	check := func(when string, want keys.Algorithm) {
		t.Helper()
		if got, err := signingAlgorithm(t.Context(), ks, now); got != want || err != nil {
			t.Errorf("%s: %q, %v, want %q", when, got, err, want)
		}
	}
	check("no key", "")
	if _, err := keys.Bootstrap(t.Context(), ks, keys.Spec{Purpose: keys.Credential, Algorithm: keys.ES384, Created: now, SignUntil: now.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	check("one key", keys.ES384)
	if _, err := ks.Generate(t.Context(), keys.Spec{Purpose: keys.Credential, Algorithm: keys.ES256, Created: now}); err != nil {
		t.Fatal(err)
	}
	check("another is planned", keys.ES384)
}

// TestKeyDocuments: a document that cannot be made, such as one of more keys than readers of
// did.json take, leaves the others there.
func TestKeyDocuments(t *testing.T) {
	ks, err := keyCost.CreateFile(filepath.Join(t.TempDir(), "keystore"), []byte("a passphrase for tests"), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	cfg := Config{Issuer: IssuerConfig{URL: "https://registry.example"}}
	add := func(n int) {
		for range n {
			if _, err := ks.Generate(t.Context(), keys.Spec{Purpose: keys.Credential, Created: now}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, tt := range []struct {
		more    int
		did, ok bool
	}{{1, true, true}, {128, false, false}} {
		add(tt.more)
		found, err := keyDocuments(t.Context(), cfg, ks, now)
		if _, did := found[issuer.PathDID]; did != tt.did || (err == nil) != tt.ok {
			t.Errorf("%d more keys: a DID document %v, %v", tt.more, did, err)
		}
		for _, path := range []string{issuer.PathJWKS, issuer.PathIssuerKeys} {
			if len(found[path].Content) == 0 {
				t.Errorf("%d more keys: no %s", tt.more, path)
			}
		}
	}
}

// reading is a programme with a wallet form that has a type of its own.
const reading = `
id: reader-card
version: 1
type: urn:xa:reader:1
labels: {en: Reader's card}
languages: [en]
logo: {file: reader.svg}
records: {id_column: id}
validity: {for: 5y}
status: {suspend: true}
freshness: {fresh_for: 7d, old_after: 30d}
person_check: other_id
photo: {policy: none}
claims:
  - {name: name, labels: {en: Name}, type: text, person: fullName, from: name, required: true}
forms:
  qr: {level: M, max_version: 20}
  wallet: {kind: sd-jwt, copies: 2}
`

// reads are all endpoints by which the public reads, by the names of their routes.
var reads = []struct{ route, path, accept string }{
	{"issuer_metadata", "/.well-known/openid-credential-issuer", ""},
	{"issuer_metadata", "/.well-known/openid-credential-issuer", "application/jwt"},
	{"server_metadata", "/.well-known/oauth-authorization-server", ""},
	{"issuer_keys", "/.well-known/jwt-vc-issuer", ""},
	{"jwks", "/jwks.json", ""},
	{"did", "/.well-known/did.json", ""},
	{"type_metadata", "/type/urn:xa:reader:1", ""},
	{"status_list", "/status/LIST", ""},
	{"trust_bundle", "/trust/bundle.trust", ""},
	{"logo", "/logo", ""},
	{"programme_logo", "/logo/reader-card", ""},
	{"openapi", "/openapi.json", ""},
}

// TestP29EveryRead: while the database is away every endpoint by which the public reads
// answers as before, of a server that runs and of one that starts then, which does the rest
// when the database is back.
func TestP29EveryRead(t *testing.T) {
	t.Run("SQLite, the file moved away", func(t *testing.T) {
		b := newReadsBed(t)
		db := filepath.Join(b.dir, "issuer.db")
		move := func(from, to string) {
			for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
				if _, err := os.Stat(db + "-wal"); err != nil || time.Now().After(end) {
					break // the server has closed it
				}
			}
			if err := os.Rename(from, to); err != nil {
				t.Fatal(err)
			}
		}
		b.readsOutlive(func() { move(db, db+".away") }, func() { move(db+".away", db) })
	})
	t.Run("PostgreSQL, stopped", func(t *testing.T) {
		c := pgtest.Start(t, pgtest.Options{})
		owner, service := c.New(t)
		b := newReadsBed(t, "--store", service, "--store-owner", owner)
		settings := filepath.Join(b.dir, settingsName)
		text, err := os.ReadFile(settings)
		if err != nil {
			t.Fatal(err)
		}
		write(t, settings, string(text)+"console: {enabled: true}\n")
		b.console = true
		b.readsOutlive(func() { c.Stop(t) }, func() { c.Restart(t) })
	})
}

// A readsBed is an office with something of everything that is public.
type readsBed struct {
	*staffBed
	paths   []string // of reads
	at      string   // where it serves
	console bool     // in the same database
}

func newReadsBed(t *testing.T, more ...string) *readsBed {
	t.Helper()
	b := &readsBed{staffBed: &staffBed{t: t, dir: filepath.Join(t.TempDir(), "office")}}
	b.must(append([]string{"init", b.dir, "--name", "Library", "--country", "XA", "--url", "https://localhost:8080"}, more...)...)
	in := func(name string) string { return filepath.Join(b.dir, name) }
	text, err := os.ReadFile(in(settingsName))
	if err != nil {
		t.Fatal(err)
	}
	write(t, in(settingsName), strings.NewReplacer("sources: {}", "sources:\n  people: {csv: people.csv}\nserve: {published: public}",
		"\nissuer:\n", "\nissuer:\n    logo: logo.svg\n").Replace("\n"+string(text)))
	write(t, in("people.csv"), "id,name\nR1,Amina Juma\n")
	write(t, in("logo.svg"), `<svg xmlns="http://www.w3.org/2000/svg"/>`)
	write(t, in("reader.svg"), `<svg xmlns="http://www.w3.org/2000/svg"><circle r="4"/></svg>`)
	write(t, in("programme.yaml"), reading)
	b.must("programme", "add", in("programme.yaml"))
	b.must("keys", "rotate", "--purpose", "metadata")
	b.must("trust", "export", "--out", in("office.trust"))
	b.must("keys", "rotate", "--purpose", "metadata")
	b.must("keys", "root", in("national"), "--name", "Xanadu", "--country", "XA")
	b.must("keys", "certify", "--root", in("national")) // and now they are signed
	b.must("issue", "--programme", "reader-card", "--record", "R1", "--out", in("out"), "--form", "text")
	b.must("status", "publish", "--out", in("public"))
	x, err := published.Read(in("public"))
	if err != nil || len(x.Lists) == 0 || x.Trust == nil {
		t.Fatalf("published: %+v, %v", x, err)
	}
	list := strings.TrimSuffix(filepath.Base(x.Lists[0].File), ".cwt")
	for _, r := range reads {
		b.paths = append(b.paths, strings.Replace(r.path, "LIST", list, 1))
	}
	return b
}

// serve serves until the function is called that it returns.
func (b *readsBed) serve() (stop func()) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	r, w := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		status := run(ctx, []string{"serve", "--dir", b.dir, "--dev-http", "--listen", "127.0.0.1:0"}, strings.NewReader(""), io.Discard, w)
		_ = w.CloseWithError(fmt.Errorf("serve: status %d", status))
	}()
	lines := bufio.NewScanner(r)
	for b.at = ""; b.at == "" && lines.Scan(); {
		if line := lines.Text(); strings.HasPrefix(line, "serving ") {
			b.at = line[strings.LastIndex(line, " ")+1:]
		}
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	if b.at == "" {
		b.t.Fatalf("the office does not serve: %v", lines.Err())
	}
	stop = sync.OnceFunc(func() { cancel(); <-ended })
	b.t.Cleanup(stop)
	return stop
}

// ask answers with status, headers and body.
func (b *readsBed) ask(method, path, accept string) (int, http.Header, []byte) {
	b.t.Helper()
	q, err := http.NewRequestWithContext(b.t.Context(), method, b.at+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	q.Header.Set("Accept", accept)
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return res.StatusCode, res.Header, body
}

// compare asks for everything; before is what was answered at first, nil then.
func (b *readsBed) compare(when string, before [][]byte) (found [][]byte) {
	b.t.Helper()
	for i, r := range reads {
		status, header, body := b.ask(http.MethodGet, b.paths[i], r.accept)
		found = append(found, body)
		if status != http.StatusOK || len(body) == 0 || r.accept != "" && header.Get("Content-Type") != r.accept {
			b.t.Errorf("P29 %s: %s as %q: %d %v %.200s", when, b.paths[i], r.accept, status, header, body)
		} else if before != nil && r.accept == "" && !bytes.Equal(body, before[i]) { // what is signed anew differs
			b.t.Errorf("P29 %s: %s is\n%.300s\nwas\n%.300s", when, b.paths[i], body, before[i])
		}
	}
	return found
}

// ready waits until /readyz says so; an answer serves for a second.
func (b *readsBed) ready(when string, ready int) {
	b.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		status, _, body := b.ask(http.MethodGet, "/readyz", "")
		if status == ready {
			break
		}
		if time.Now().After(end) {
			b.t.Fatalf("P29 %s: /readyz: %d %s, want %d", when, status, body, ready)
		}
	}
}

// wants asks for what needs the database.
func (b *readsBed) wants(when string, offer, ready int) {
	b.t.Helper()
	b.ready(when, ready)
	if status, header, body := b.ask(http.MethodGet, "/offer/none", ""); status != offer || (header.Get("Retry-After") != "") != (offer == http.StatusServiceUnavailable) {
		b.t.Errorf("P29 %s: an offer: %d %v %s, want %d", when, status, header, body, offer)
	}
	if status, _, body := b.ask(http.MethodGet, "/healthz", ""); status != http.StatusOK {
		b.t.Errorf("P29 %s: /healthz: %d %s", when, status, body)
	}
	if !b.console {
		return
	}
	want := http.StatusServiceUnavailable
	if ready == http.StatusOK {
		want = http.StatusNotFound
	}
	status, header, body := b.ask(http.MethodGet, "/console/invitation/"+strings.Repeat("A", 43), "")
	if status != want || (header.Get("Retry-After") != "") != (want == http.StatusServiceUnavailable) {
		b.t.Errorf("P29 %s: an invitation to the console: %d %v %.200s, want %d", when, status, header, body, want)
	}
}

func (b *readsBed) readsOutlive(away, back func()) {
	b.t.Helper()
	stop := b.serve()
	b.everyRead()
	before := b.compare("with the database", nil)
	b.wants("with the database", http.StatusNotFound, http.StatusOK)
	away()
	b.compare("without it", before)
	b.wants("without it", http.StatusServiceUnavailable, http.StatusServiceUnavailable)
	stop()
	b.serve()
	b.compare("started without it", before)
	b.wants("started without it", http.StatusServiceUnavailable, http.StatusServiceUnavailable)
	back()
	b.compare("when it is back", before)
	b.wants("when it is back", http.StatusNotFound, http.StatusOK)
	if status, _, body := b.ask(http.MethodPost, "/oid4vci/nonce", ""); status != http.StatusOK {
		b.t.Errorf("P29 a nonce when it is back: %d %s", status, body)
	}
}

// everyRead compares the table with the routes: a document that everybody may read is in
// it, but for offers, which are in the database.
func (b *readsBed) everyRead() {
	b.t.Helper()
	cfg, err := readConfig(filepath.Join(b.dir, settingsName))
	if err != nil {
		b.t.Fatal(err)
	}
	passphrase, err := readLine(cfg.KeyPassphraseFile, "passphrase")
	if err != nil {
		b.t.Fatal(err)
	}
	ks, err := keys.OpenFile(cfg.Keystore, []byte(passphrase))
	if err != nil {
		b.t.Fatal(err)
	}
	p := &program{Program: cli.Program{Name: "issuer", Now: time.Now}}
	c, err := p.endpointsConfig(cfg, ks, newDesk(p, nil, cfg, ks), &values{cfg: cfg})
	if err != nil {
		b.t.Fatal(err)
	}
	e, err := issuer.New(c)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, r := range e.Routes() {
		if r.Method != http.MethodGet || !r.AnyOrigin || r.Name == "offer" {
			continue
		}
		if !slices.ContainsFunc(reads, func(read struct{ route, path, accept string }) bool { return read.route == r.Name }) {
			b.t.Errorf("P29 the route %s is not in the table of reads", r.Name)
		}
	}
}
