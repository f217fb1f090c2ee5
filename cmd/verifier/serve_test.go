package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/chain"
	"github.com/sanad-id/sanad/oid4vp"
)

// A library is a verifier made and run by the commands, in a country of fixtures.
type library struct {
	dir    string
	files  map[string][]byte
	holder keys.Signer
	root   *x509.Certificate
	signer keys.Signer // of root
	now    time.Time
	served string // what serve says
	public string
	priv   string
	stop   func()
}

func (l *library) path(name string) string { return filepath.Join(l.dir, name) }

// run runs a command and returns its exit status and what it prints.
func (l *library) run(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, talk bytes.Buffer
	p := newProgram(func() time.Time { return l.now })
	status = p.run(t.Context(), append(args, "--config", l.path("library/verifier.yaml")), strings.NewReader(""), &out, &talk)
	return status, out.String(), talk.String()
}

func (l *library) ok(t *testing.T, args ...string) string {
	t.Helper()
	status, stdout, stderr := l.run(t, args...)
	if status != 0 {
		t.Fatalf("%s: exit status %d\n%s%s", strings.Join(args, " "), status, stdout, stderr)
	}
	return stdout
}

const libraryPolicy = `
policy: card
version: 1
verifier: {name: {en: City library}}
purpose: {en: To lend you books.}
retention_days: 0
ask:
  - {id: farmer, types: ["` + farmer + `"], claims: [full_name, address.district]}
return_to: ["https://library.example/done"]
`

func newLibrary(t *testing.T) *library {
	t.Helper()
	l := newLibraryAt(t, asOf.Add(3*time.Hour))
	l.files = makeFixturesFor(t, l.holder)
	for _, name := range []string{"office.trust", "good.txt", "good.png"} {
		if err := os.WriteFile(l.path(name), l.files[name], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// newLibraryAt is a library of any time, without the fixtures.
func newLibraryAt(t *testing.T, now time.Time) *library {
	t.Helper()
	l := &library{dir: t.TempDir(), holder: newSigner(t, keys.Holder), signer: newSigner(t, keys.CertificateRoot), now: now}
	der := must[[]byte](t)(chain.NewRoot(rand.Reader, l.signer, chain.Name{Organization: "Root of Kestara", Country: "XA"}, l.now, l.now.AddDate(5, 0, 0)))
	l.root = must[*x509.Certificate](t)(chain.ParseRoot(der))
	l.ok(t, "init", l.path("library"), "--name", "City library", "--country", "XA", "--url", "http://localhost:9")
	if err := os.WriteFile(l.path("library/policies/card.yaml"), []byte(libraryPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	return l
}

// certify answers the request of init.
func (l *library) certify(t *testing.T, now time.Time) {
	t.Helper()
	s := must[chain.Subject](t)(chain.ParseRequest(must[[]byte](t)(os.ReadFile(l.path("library/request.csr")))))
	leaf := must[[]byte](t)(chain.Issue(rand.Reader, l.root, l.signer, s, now, now.AddDate(1, 0, 0)))
	for name, der := range map[string][]byte{"library.pem": leaf, "root.pem": l.root.Raw} {
		if err := os.WriteFile(l.path(name), chain.EncodePEM(der), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func (l *library) prepare(t *testing.T) {
	t.Helper()
	l.vouch(t)
	l.ok(t, "trust", "import", l.path("office.trust"), "--dir", l.path("library/trust"), "--fingerprint", string(l.files["fingerprint"]))
}

// vouch gives the library its certificate.
func (l *library) vouch(t *testing.T) {
	t.Helper()
	l.certify(t, l.now)
	l.ok(t, "keys", "import-chain", "--chain", l.path("library.pem"), "--root", l.path("root.pem"))
}

// serve runs the server until the test ends, on ports that the system chooses.
func (l *library) serve(t *testing.T) {
	t.Helper()
	settings := must[[]byte](t)(os.ReadFile(l.path("library/verifier.yaml")))
	settings = bytes.Replace(settings, []byte("127.0.0.1:9465"), []byte("127.0.0.1:0"), 1)
	if err := os.WriteFile(l.path("library/verifier.yaml"), settings, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	said, talk := io.Pipe()
	done := make(chan int, 1)
	p := newProgram(func() time.Time { return l.now })
	go func() {
		done <- p.run(ctx, []string{"serve", "--dev-http", "--listen", "127.0.0.1:0", "--config", l.path("library/verifier.yaml")}, strings.NewReader(""), io.Discard, talk)
		_ = talk.Close()
	}()
	ready := make(chan struct{})
	var all strings.Builder
	var mu sync.Mutex
	go func() {
		told := false
		b := make([]byte, 4096)
		for {
			n, err := said.Read(b)
			mu.Lock()
			all.Write(b[:n])
			text := all.String()
			mu.Unlock()
			if !told && (strings.Contains(text, "private port at ") && strings.HasSuffix(text, "\n") || err != nil) {
				told = true
				close(ready)
			}
			if err != nil {
				return
			}
		}
	}()
	<-ready
	l.stop = sync.OnceFunc(func() {
		cancel()
		if status := <-done; status != 0 {
			t.Errorf("serve: exit status %d", status)
		}
		mu.Lock()
		defer mu.Unlock()
		l.served = all.String()
	})
	t.Cleanup(l.stop)
	mu.Lock()
	text := all.String()
	mu.Unlock()
	find := func(pattern string) string {
		m := regexp.MustCompile(pattern).FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("serve says\n%s", text)
		}
		return m[1]
	}
	l.public, l.priv = find(`serving http://localhost:9 at (\S+)`), find(`private port at (\S+)`)
}

// wallet answers a link with the credential, or refuses without one. It returns where
// it sends the browser.
func (l *library) wallet(t *testing.T, link, issued string) string {
	t.Helper()
	i := must[*oid4vp.Invocation](t)(oid4vp.ParseInvocation(link))
	here := func(address string) string { return strings.Replace(address, "http://localhost:9", l.public, 1) }
	form := must[map[string][]string](t)(i.Form(nil, "nonce of the wallet"))
	res := must[*http.Response](t)(http.PostForm(here(i.RequestURI), form))
	defer res.Body.Close()
	object := must[[]byte](t)(io.ReadAll(res.Body))
	r, err := i.Open(t.Context(), string(object), oid4vp.Expect{
		Now: l.now, Chains: oid4vp.Roots{l.root}, WalletNonce: "nonce of the wallet", DevHTTP: true,
		TransactionTypes: map[string]oid4vp.TransactionType{"https://library.example/loan": func(map[string]any) error { return nil }},
	})
	if err != nil {
		t.Fatalf("%v: %s", err, object)
	}
	if r.Client.Subject != "City library" || r.Policy.Purpose["en"] != "To lend you books." {
		t.Errorf("the person is told of %q, %v", r.Client.Subject, r.Policy)
	}
	answer := r.Refuse(&oid4vp.Error{Code: oid4vp.AccessDenied})
	if issued != "" {
		c := must[oid4vp.Credential](t)(oid4vp.HeldSDJWT(must[*sdjwt.Parsed](t)(sdjwt.Parse(issued))))
		choices := must[[]oid4vp.Choice](t)(r.Query.Match([]oid4vp.Credential{c}).Default())
		text := must[string](t)(sdjwt.Present(issued, choices[0].Disclose()...))
		data := must[map[int][]oid4vp.TransactionData](t)(r.Authorise(choices))
		text = must[string](t)(sdjwt.Bind(rand.Reader, text, r.Proof(l.now, data[0]), l.holder))
		answer = must[map[string][]string](t)(r.Respond(oid4vp.VPToken{"farmer": {text}}))
	}
	res = must[*http.Response](t)(http.PostForm(here(r.ResponseURI), answer))
	defer res.Body.Close()
	body := must[[]byte](t)(io.ReadAll(res.Body))
	reply, err := oid4vp.ParseReply(body, true)
	if err != nil && res.StatusCode == http.StatusOK {
		t.Fatalf("%v in %s", err, body)
	}
	return reply.RedirectURI
}

// ask runs `verifier request` and has the wallet answer.
func (l *library) ask(t *testing.T, issued string, flags ...string) (status int, stdout string) {
	t.Helper()
	said, talk := io.Pipe()
	var out bytes.Buffer
	done := make(chan int, 1)
	p := newProgram(func() time.Time { return l.now })
	go func() {
		done <- p.run(t.Context(), append([]string{"request", "card", "--server", l.priv, "--lang", "en"}, flags...), strings.NewReader(""), &out, talk)
		_ = talk.Close()
	}()
	b := make([]byte, 1<<16)
	n := must[int](t)(said.Read(b))
	go func() { _, _ = io.Copy(io.Discard, said) }()
	link, _, _ := strings.Cut(string(b[:n]), "\n")
	l.wallet(t, link, issued)
	return <-done, out.String()
}

// TestServe makes a verifier by the commands and asks a wallet with it.
func TestServe(t *testing.T) {
	l := newLibrary(t)
	if status, stdout, _ := l.run(t, "config", "check"); status != 1 || !strings.Contains(stdout, "certificate") || !strings.Contains(stdout, "no trust bundle") {
		t.Errorf("config check before: %d\n%s", status, stdout)
	}
	l.prepare(t)
	if out := l.ok(t, "config", "check"); !strings.Contains(out, "policies: card, example") {
		t.Errorf("config check: %s", out)
	}
	if out := l.ok(t, "keys", "list"); !strings.Contains(out, "client x509_hash:") {
		t.Errorf("keys list: %s", out)
	}
	l.serve(t)
	issued := strings.TrimSpace(string(l.files["issued.sdjwt"]))
	if status, out := l.ask(t, issued); status != 0 || !strings.Contains(out, "Genuine") || !strings.Contains(out, "farmer full_name: Rahima Begum") ||
		!strings.Contains(out, "farmer address.district: Jessore") {
		t.Errorf("request: %d\n%s", status, out)
	}
	if status, out := l.ask(t, issued, "--claims", "farmer=full_name", "--json", "--receipt"); status != 0 || strings.Contains(out, "Jessore") || !strings.Contains(out, `"receipt": "ey`) {
		t.Errorf("request for less: %d\n%s", status, out)
	}
	if status, out := l.ask(t, ""); status != 30 || !strings.Contains(out, "access_denied") {
		t.Errorf("a wallet that refuses: %d\n%s", status, out)
	}
	if status, _, talk := l.run(t, "request", "other", "--server", l.priv); status != 1 || !strings.Contains(talk, "unknown_policy") {
		t.Errorf("another policy: %d\n%s", status, talk)
	}
	l.sameAsCheck(t)
	l.used(t)
	// The trust bundle goes away, and nothing is genuine any more.
	if err := os.RemoveAll(l.path("library/trust")); err != nil {
		t.Fatal(err)
	}
	for ready := false; !ready; { // it is looked at every second
		res := must[*http.Response](t)(http.Get(l.priv + "/readyz"))
		body := must[[]byte](t)(io.ReadAll(res.Body))
		res.Body.Close()
		ready = strings.Contains(string(body), "trust")
	}
	if status, out := l.ask(t, issued); status != 30 || !strings.Contains(out, "no_trust") {
		t.Errorf("without trust: %d\n%s", status, out)
	}
	l.stop()
	for _, canary := range []string{"Rahima", "Jessore", "127.0.0.1:"} {
		for line := range strings.Lines(l.served) {
			if strings.HasPrefix(line, "{") && strings.Contains(line, canary) {
				t.Errorf("%q in the log: %s", canary, line)
			}
		}
	}
}

// used: the server has counted what was asked so far.
func (l *library) used(t *testing.T) {
	t.Helper()
	l.get(t, l.priv+"/usage", "") // stores what it has
	want := "2026-11-12,,proof,,valid,2\n2026-11-12,,request,card,refused,1\n2026-11-12,,request,card,valid,2\n"
	if out := l.ok(t, "usage", "--csv"); !strings.HasSuffix(out, want) {
		t.Errorf("usage:\n%s, want\n%s", out, want)
	}
}

// sameAsCheck: POST /verify answers what `verifier check --json` prints.
func (l *library) sameAsCheck(t *testing.T) {
	t.Helper()
	for name, media := range map[string]string{"good.txt": "text/plain", "good.png": "image/png"} {
		res := must[*http.Response](t)(http.Post(l.priv+"/verify", media, bytes.NewReader(l.files[name])))
		body := must[[]byte](t)(io.ReadAll(res.Body))
		res.Body.Close()
		printed := l.ok(t, "check", "--json", "--trust", l.path("office.trust"), l.path(name))
		var a, b any
		if json.Unmarshal(body, &a) != nil || json.Unmarshal([]byte(printed), &b) != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("%s over HTTP:\n%s\non the command line:\n%s", name, body, printed)
		}
	}
}

// TestServeRefuses: what would be served wrongly is not.
func TestServeRefuses(t *testing.T) {
	l := newLibrary(t)
	if status, _, talk := l.run(t, "serve"); status != 1 || !strings.Contains(talk, "no TLS certificate is set") || !strings.Contains(talk, "hint: over a network: tls_cert and tls_key") {
		t.Errorf("without TLS: %d\n%s", status, talk)
	}
	if status, _, talk := l.run(t, "serve", "--dev-http", "--listen", ":0"); status != 1 || !strings.Contains(talk, "loopback only") || !strings.Contains(talk, "hint: over a network") {
		t.Errorf("plain http for all: %d\n%s", status, talk)
	}
	l.certify(t, l.now)
	if err := os.WriteFile(l.path("other.pem"), chain.EncodePEM(must[[]byte](t)(chain.NewRoot(rand.Reader, newSigner(t, keys.CertificateRoot),
		chain.Name{Organization: "Other", Country: "XB"}, l.now, l.now.AddDate(5, 0, 0)))), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, talk := l.run(t, "keys", "import-chain", "--chain", l.path("library.pem"), "--root", l.path("other.pem")); status != 1 || !strings.Contains(talk, "root") {
		t.Errorf("another root: %d\n%s", status, talk)
	}
	if status, _, _ := l.run(t, "init", l.path("library"), "--name", "x", "--url", "https://x.example"); status != 1 {
		t.Errorf("init over a verifier: %d", status)
	}
	if status, _, _ := l.run(t, "init", l.path("new"), "--name", "x", "--url", "nonsense"); status != 1 {
		t.Errorf("init with a strange address: %d", status)
	}
	if err := os.WriteFile(l.path("library/policies/bad.yaml"), []byte("policy: bad\nversions: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, talk := l.run(t, "config", "check"); status != 1 || !strings.Contains(talk, "bad.yaml") {
		t.Errorf("a broken policy: %d\n%s", status, talk)
	}
}

// TestConfigCheckBegins: what would keep a server from beginning, or a webhook from leaving, is
// said by config check, although the settings can be read.
func TestConfigCheckBegins(t *testing.T) {
	l := newLibrary(t)
	l.prepare(t)
	settings, policy := string(must[[]byte](t)(os.ReadFile(l.path("library/verifier.yaml")))), l.path("library/policies/card.yaml")
	for _, row := range []struct{ name, settings, policy, want string }{
		{"as it should be", "", "", ""},
		{"a webhook in the own network", "local_hosts: [127.0.0.1]\n", "webhook: http://127.0.0.1:9/hook?of=card\n", ""},
		{"a webhook that is never sent", "", "webhook: http://127.0.0.1:9/hook?of=card\n", "policy card: its webhook is never sent: .*local_hosts"},
		{"no password file of Redis", "redis: redis://127.0.0.1:1\nredis_password_file: gone\n", "", "redis_password_file: .*gone"},
		{"no certificate", "tls_cert: gone.pem\ntls_key: gone.pem\n", "", "tls_cert: .*gone.pem"},
		{"a key for a policy that there is not", "api_keys: [{name: x, sha256: " + strings.Repeat("af", 32) + ", policies: [gone]}]\n", "", `the policy "gone"`},
	} {
		for name, text := range map[string]string{l.path("library/verifier.yaml"): settings + row.settings, policy: libraryPolicy + row.policy} {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		status, out, talk := l.run(t, "config", "check")
		said := strings.Contains(out, "not ready to serve: ")
		if bad := row.want != ""; (status != 0) != bad || said != bad || !regexp.MustCompile(row.want).MatchString(out) {
			t.Errorf("%s: status %d, want %q\n%s%s", row.name, status, row.want, out, talk)
		}
	}
}

// TestMemory: a verifier that keeps everything in memory says what that means, and serves.
func TestMemory(t *testing.T) {
	l := newLibrary(t)
	l.prepare(t)
	settings := bytes.Replace(must[[]byte](t)(os.ReadFile(l.path("library/verifier.yaml"))), []byte("once: once.db"), []byte("once: memory"), 1)
	if err := os.WriteFile(l.path("library/verifier.yaml"), settings, 0o600); err != nil {
		t.Fatal(err)
	}
	policy := libraryPolicy + "webhook: https://library.example/hook\n"
	if err := os.WriteFile(l.path("library/policies/card.yaml"), []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := l.ok(t, "config", "check"); !strings.Contains(out, "webhooks are lost when this server ends") {
		t.Errorf("config check does not say what is lost:\n%s", out)
	}
	if status, _, talk := l.run(t, "webhooks", "list"); status != 1 || !strings.Contains(talk, "memory of the server") {
		t.Errorf("webhooks list: %d\n%s", status, talk)
	}
	l.serve(t)
	if status, out := l.ask(t, strings.TrimSpace(string(l.files["issued.sdjwt"]))); status != 0 {
		t.Errorf("request: %d\n%s", status, out)
	}
	if _, err := os.Stat(l.path("library/memory")); err == nil {
		t.Error("memory is a file")
	}
}

// TestAPIKey: the settings get the digest of what the relying party gets.
func TestAPIKey(t *testing.T) {
	l := newLibrary(t)
	l.prepare(t)
	var k struct{ Key, SHA256 string }
	if err := json.Unmarshal([]byte(l.ok(t, "api-key", "website", "--json")), &k); err != nil {
		t.Fatal(err)
	}
	f := must[*os.File](t)(os.OpenFile(l.path("library/verifier.yaml"), os.O_APPEND|os.O_WRONLY, 0))
	fmt.Fprintf(f, "api_keys: [{name: website, sha256: %s}]\n", k.SHA256)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(l.path("key"), []byte(k.Key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.serve(t)
	if status, out, talk := l.run(t, "request", "card", "--server", l.public, "--api-key-file", l.path("key"), "--no-wait"); status != 0 || !strings.HasPrefix(out, "openid4vp://") {
		t.Errorf("with the key: %d\n%s%s", status, out, talk)
	}
	if status, _, talk := l.run(t, "request", "card", "--server", l.public, "--no-wait"); status != 1 || !strings.Contains(talk, "401") {
		t.Errorf("without: %d\n%s", status, talk)
	}
}

// TestRequestWithStoredKey: once a key was made, the command asks for one, and with one it
// finds the verifier by its settings.
func TestRequestWithStoredKey(t *testing.T) {
	l := newLibrary(t)
	l.prepare(t)
	var k struct{ Key string }
	if err := json.Unmarshal([]byte(l.ok(t, "api-key", "add", "website", "--json")), &k); err != nil {
		t.Fatal(err)
	}
	l.serve(t)
	settings := must[[]byte](t)(os.ReadFile(l.path("library/verifier.yaml")))
	settings = bytes.Replace(settings, []byte("http://localhost:9\n"), []byte(l.public+"\n"), 1)
	settings = bytes.Replace(settings, []byte("private: 127.0.0.1:0"), []byte("private: "+strings.TrimPrefix(l.priv, "http://")), 1)
	for name, content := range map[string][]byte{"library/verifier.yaml": settings, "key": []byte(k.Key + "\n")} {
		if err := os.WriteFile(l.path(name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if status, out, talk := l.run(t, "request", "card", "--no-wait"); status != 1 || !strings.Contains(talk, errNeedsKey.Error()) || !strings.Contains(talk, "--api-key-file") {
		t.Errorf("without a key: %d\n%s%s", status, out, talk)
	}
	if status, out, talk := l.run(t, "request", "card", "--api-key-file", l.path("key"), "--no-wait"); status != 0 || !strings.HasPrefix(out, "openid4vp://") {
		t.Errorf("with the key: %d\n%s%s", status, out, talk)
	}
}

// TestAPIKeys: keys are made, replaced and ended by the commands while the server runs,
// and what parties did is counted.
func TestAPIKeys(t *testing.T) {
	l := newLibrary(t)
	l.prepare(t)
	type made struct{ ID, Key string }
	key := func(args ...string) (k made) {
		t.Helper()
		if err := json.Unmarshal([]byte(l.ok(t, append([]string{"api-key"}, append(args, "--json")...)...)), &k); err != nil || k.ID == "" {
			t.Fatal(k, err)
		}
		return k
	}
	for _, tt := range []struct{ command, says string }{
		{"api-key list", "no relying party has a key yet; next: `verifier api-key add NAME`"}, {"usage", "nothing was counted from"},
		{"webhooks list", "no webhook is tried again"},
	} {
		if status, out, talk := l.run(t, strings.Fields(tt.command)...); status != 0 || out != "" || !strings.Contains(talk, tt.says) {
			t.Errorf("%s of nothing: %d %q %q", tt.command, status, out, talk)
		}
	}
	if out := l.ok(t, "api-key", "list", "--json"); out != "[]\n" {
		t.Errorf("api-key list --json of nothing: %q", out)
	}
	first := key("add", "website", "--policy", "card")
	l.serve(t)
	ask := func(k made, want int) {
		t.Helper()
		r := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), http.MethodPost, l.public+"/requests", strings.NewReader(`{"policy": "card"}`)))
		r.Header.Set("Authorization", "Bearer "+k.Key)
		r.Header.Set("Content-Type", "application/json")
		res := must[*http.Response](t)(http.DefaultClient.Do(r))
		defer res.Body.Close()
		if body := must[[]byte](t)(io.ReadAll(res.Body)); res.StatusCode != want {
			t.Errorf("key %s: %d %s, want %d", k.ID, res.StatusCode, body, want)
		}
	}
	ask(first, http.StatusCreated)
	second := key("rotate", first.ID, "--overlap", "24h")
	l.now = l.now.Add(2 * time.Second)
	ask(first, http.StatusCreated)
	ask(second, http.StatusCreated)
	if out := l.ok(t, "api-key", "list"); strings.Count(out, "website") != 2 || !strings.Contains(out, "works until 2026-11-13T09:00:00Z") || strings.Contains(out, second.Key) {
		t.Errorf("api-key list:\n%s", out)
	}
	// A copy, made while the server runs, in the place of what it was made of.
	copied := l.path("copy.db")
	l.ok(t, "backup", copied)
	if status, _, talk := l.run(t, "backup", copied); status != 1 || !strings.Contains(talk, "not there yet") {
		t.Errorf("backup over a file: %d %s", status, talk)
	}
	l.ok(t, "api-key", "revoke", second.ID)
	l.now = l.now.Add(2 * time.Second)
	ask(second, http.StatusUnauthorized)
	l.now = l.now.Add(25 * time.Hour)
	ask(first, http.StatusUnauthorized)
	l.stop()
	if out := l.ok(t, "api-key", "list"); !strings.Contains(out, "revoked") {
		t.Errorf("api-key list:\n%s", out)
	}
	for _, end := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(l.path("library/parties.db" + end)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	if err := os.Rename(copied, l.path("library/parties.db")); err != nil {
		t.Fatal(err)
	}
	if out := l.ok(t, "api-key", "list"); strings.Count(out, "website") != 2 || strings.Contains(out, "revoked") {
		t.Errorf("api-key list after going back:\n%s", out)
	}
	l.ok(t, "api-key", "revoke", second.ID) // once more, as the docs say
	for _, tt := range [][]string{
		{"api-key", "add", "website", "--scope", "all"}, {"api-key", "add", "website", "--policy", "none"}, {"api-key", "rotate", second.ID}, {"api-key", "revoke", "x"},
		{"usage", "--from", "yesterday"},
	} {
		if status, out, _ := l.run(t, tt...); status == 0 {
			t.Errorf("%v is done: %s", tt, out)
		}
	}
	if out := l.ok(t, "usage", "--csv", "--party", "website"); out != "day,party,kind,subject,verdict,count\n" {
		t.Errorf("usage before any answer: %s", out)
	}
}
