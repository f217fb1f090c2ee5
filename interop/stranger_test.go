package interop_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/chain"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/trust"
)

const strangerType = "urn:xs:licence:1"

// A stranger is an issuer and a verifier of others, with TLS on this machine, and
// certificates under a root that is not ours.
type stranger struct {
	*peer
	url   string
	dir   string
	tls   string // file with the authority for TLS
	https *http.Client
	root  *x509.Certificate
}

// newStranger starts the servers.
func newStranger(t testing.TB) *stranger {
	t.Helper()
	s := &stranger{dir: t.TempDir()}
	s.tls = filepath.Join(s.dir, "tls.pem")
	authority, cert, key := tlsCertificate(t)
	s.file(t, "tls.pem", authority)
	s.peer = startPeer(t, "stranger.mjs", "NODE_EXTRA_CA_CERTS="+s.tls)
	var at struct{ URL string }
	s.call("listen", map[string]any{"cert": cert, "key": key}, &at)
	s.url = at.URL
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(authority))
	s.https = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}}, Timeout: time.Minute}

	now := time.Now().Truncate(time.Second)
	rootKey := keystest.Signer(t, keys.CertificateRoot, keys.ES256, "root of strangers")
	der, err := chain.NewRoot(rand.Reader, rootKey, chain.Name{Organization: "Strangers' authority", Country: "XS"}, now.Add(-time.Hour), now.Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if s.root, err = chain.ParseRoot(der); err != nil {
		t.Fatal(err)
	}
	s.file(t, "root.pem", string(chain.EncodePEM(der)))
	chains := map[string]any{}
	for _, name := range []string{"issuer", "metadata", "status", "verifier"} {
		public, _ := theirKey(s.peer, name)
		leaf, err := chain.Issue(rand.Reader, s.root, rootKey, chain.Subject{Name: chain.Name{Organization: "Strangers"}, Address: s.url, Key: public}, now.Add(-time.Minute), now.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		chains[name] = []string{base64.StdEncoding.EncodeToString(leaf)}
	}
	s.call("configure", map[string]any{"chains": chains, "type": strangerType}, nil)
	return s
}

// file writes a file that only its owner can read, and returns its path.
func (s *stranger) file(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// tlsCertificate is an authority for TLS, and a certificate for localhost with its key.
func tlsCertificate(t testing.TB) (authority, cert, key string) {
	t.Helper()
	make := func(parent *x509.Certificate, by *ecdsa.PrivateKey, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if by == nil {
			parent, by = template, private
		}
		template.SerialNumber, template.NotBefore, template.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &private.PublicKey, by)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c, private
	}
	ca, caKey := make(nil, nil, &x509.Certificate{Subject: pkix.Name{CommonName: "TLS of a test"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	leaf, leafKey := make(ca, caKey, &x509.Certificate{DNSNames: []string{"localhost"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, KeyUsage: x509.KeyUsageDigitalSignature})
	private, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return text("CERTIFICATE", ca.Raw), text("CERTIFICATE", leaf.Raw), text("PRIVATE KEY", private)
}

// A holder is a person with `wallet-cli`.
type holder struct {
	testing.TB
	dir, pass string
	environ   []string
	log       func() // what else to say when it fails
}

const passphrase = "correct horse battery"

// newHolder makes a wallet with the program. TLS is a file with the authority of the
// servers that it will ask.
func newHolder(t testing.TB, tlsRoots string) *holder {
	t.Helper()
	dir := t.TempDir()
	h := &holder{t, filepath.Join(dir, "wallet"), filepath.Join(dir, "pass"), append(os.Environ(), "SSL_CERT_FILE="+tlsRoots, "LC_ALL=C"), nil}
	if err := os.WriteFile(h.pass, []byte(passphrase), 0o600); err != nil {
		t.Fatal(err)
	}
	made.Do(func() {
		h.run(0, "init")
		h.cheapen()
		made.identity, made.err = os.ReadFile(filepath.Join(h.dir, "wallet.age"))
	})
	if made.err != nil {
		t.Fatal(made.err)
	}
	// The next ones begin with the same identity: making one takes seconds.
	for _, folder := range []string{"", "held", "log", "pending"} {
		if err := os.MkdirAll(filepath.Join(h.dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(h.dir, "wallet.age"), made.identity, 0o600); err != nil {
		t.Fatal(err)
	}
	return h
}

// made is the first wallet of a run.
var made struct {
	sync.Once
	identity []byte
	err      error
}

// cheapen puts the wallet under the same passphrase with less work, so that opening it
// a hundred times does not take the time of a test.
func (h *holder) cheapen() {
	h.Helper()
	path := filepath.Join(h.dir, "wallet.age")
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		h.Fatal(err)
	}
	sealed, err := os.ReadFile(path)
	if err != nil {
		h.Fatal(err)
	}
	r, err := age.Decrypt(bytes.NewReader(sealed), identity)
	if err != nil {
		h.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		h.Fatal(err)
	}
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		h.Fatal(err)
	}
	recipient.SetWorkFactor(8)
	var out bytes.Buffer
	w, err := age.Encrypt(&out, recipient)
	if err != nil {
		h.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil || w.Close() != nil {
		h.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		h.Fatal(err)
	}
}

// in is the same holder in a subtest.
func (h *holder) in(t testing.TB) *holder { return &holder{t, h.dir, h.pass, h.environ, h.log} }

func (h *holder) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(h.Context(), program(h, "wallet-cli"), append([]string{"--dir", h.dir, "--passphrase-file", h.pass, "--dev-http"}, args...)...)
	cmd.Env = h.environ
	return cmd
}

// run runs the program and returns what it printed and said.
func (h *holder) run(want int, args ...string) (printed, said string) {
	h.Helper()
	cmd := h.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		h.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		if h.log != nil {
			h.log()
		}
		h.Fatalf("wallet-cli %s: exit %d, want %d\n%s%s", strings.Join(args, " "), got, want, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

// refused runs the program, which must refuse for this reason.
func (h *holder) refused(reason string, args ...string) {
	h.Helper()
	printed, said := h.run(20, append([]string{"--json"}, args...)...)
	var got struct{ Refused, Detail string }
	if err := json.Unmarshal([]byte(printed), &got); err != nil || got.Refused != reason {
		h.Errorf("wallet-cli %s: refused for %q (%s), want %q\n%s", args[0], got.Refused, got.Detail, reason, said)
	}
}

// signIn accepts an offer by which one signs in: browser opens the address that the
// program prints.
func (h *holder) signIn(browser *http.Client, want int, args ...string) (printed, said string) {
	h.Helper()
	cmd := h.command(append([]string{"accept", "--yes", "--browser"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout = &out
	pipe, err := cmd.StderrPipe()
	if err != nil {
		h.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		h.Fatal(err)
	}
	for lines := bufio.NewScanner(pipe); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		errs.WriteString(line + "\n")
		if strings.HasPrefix(line, "https://") && strings.Contains(line, "request_uri=") {
			r, err := browser.Get(line)
			if err != nil {
				h.Fatal(err)
			}
			_ = r.Body.Close()
		}
	}
	_ = cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != want {
		h.Fatalf("wallet-cli accept --browser: exit %d, want %d\n%s%s", got, want, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

// accepted is what `accept --json` prints.
type accepted struct {
	Accepted []struct {
		ID     string
		Type   string
		Copies int
	}
}

// offer makes an offer of the stranger's.
func (s *stranger) offer(how map[string]any) string {
	s.t.Helper()
	var link string
	s.call("offer", how, &link)
	return link
}

// spoil changes how the servers behave until the test ends.
func (s *stranger) spoil(t *testing.T, how map[string]any) {
	t.Helper()
	s.call("spoil", how, nil)
	t.Cleanup(func() { s.ask("spoil", map[string]any{}, nil) })
}

// TestWalletAtTheirIssuer: `wallet-cli` obtains credentials from an issuer made of
// @openid4vc, by a transaction code and by signing in, and refuses what a careful wallet
// refuses of one.
func TestWalletAtTheirIssuer(t *testing.T) {
	s := newStranger(t)
	h := newHolder(t, s.tls)
	code := s.file(t, "code", "493536")
	preAuthorized := func() string { return s.offer(map[string]any{"txCode": "493536"}) }

	// Nobody has said who that is.
	h.refused("unknown_issuer", "accept", "--yes", preAuthorized())
	h.run(0, "trust", "root", "--yes", filepath.Join(s.dir, "root.pem"))

	var got accepted
	take := func(printed string) string {
		t.Helper()
		if err := json.Unmarshal([]byte(printed), &got); err != nil || len(got.Accepted) != 1 || got.Accepted[0].Type != strangerType || got.Accepted[0].Copies != 3 {
			t.Fatalf("accepted %s: %v", printed, err)
		}
		return got.Accepted[0].ID
	}
	printed, said := h.run(0, "accept", "--yes", "--json", "--tx-code-file", code, preAuthorized())
	first := take(printed)
	for _, want := range []string{"Strangers", "certified by", "Licence of strangers", "village"} {
		if !strings.Contains(said, want) {
			t.Errorf("the person is not shown %q:\n%s", want, said)
		}
	}
	printed, _ = h.signIn(s.https, 0, "--json", s.offer(map[string]any{"signIn": true}))
	second := take(printed)
	var events []string
	if s.call("log", nil, &events); slices.Index(events, "credential_accepted") < 0 {
		t.Errorf("the issuer was not told: %q", events)
	}
	if printed, _ := h.run(0, "show", first); !strings.Contains(printed, "Milliways") {
		t.Errorf("shows %s", printed)
	}
	// Three copies each: places 0 to 2 and 3 to 5 of their status list.
	for place := range 3 {
		s.call("revoke", map[string]any{"index": 3 + place}, nil)
	}
	if printed, _ := h.run(0, "show", second); !strings.Contains(printed, "revoked") {
		t.Errorf("after the revocation it shows %s", printed)
	}

	used := preAuthorized()
	h.run(0, "accept", "--yes", "--tx-code-file", code, used)
	wrong := s.file(t, "wrong", "000000")
	for _, tt := range []struct {
		name  string
		spoil map[string]any
		want  string
		link  string // in place of a fresh offer
		code  string // in place of the right one
	}{
		{name: "replayed: an offer that was used (VCI-01)", want: "peer_refused", link: used},
		{name: "another transaction code (VCI-03)", want: "peer_refused", code: wrong},
		{name: "altered: the credential", spoil: map[string]any{"credential": map[string]any{"flip": true}}, want: "bad_signature"},
		{name: "altered: signed by a key without certificate", spoil: map[string]any{"credential": map[string]any{"key": "somebody"}}, want: "bad_signature"},
		{name: "altered: the metadata (VCI-21)", spoil: map[string]any{"metadataKey": "somebody"}, want: "metadata_signer"},
		{name: "expired: the credential", spoil: map[string]any{"credential": map[string]any{"payload": map[string]any{"iat": time.Now().Unix() - 7200, "exp": time.Now().Unix() - 3600}}}, want: "bad_dates"},
		{name: "wrongly addressed: bound to another key (VCI-18)", spoil: map[string]any{"credential": map[string]any{"holder": "somebody"}}, want: "other_key"},
		{name: "another type (VCI-18)", spoil: map[string]any{"credential": map[string]any{"payload": map[string]any{"vct": "urn:xs:other:1"}}}, want: "other_type"},
		{name: "another issuer (VCI-18)", spoil: map[string]any{"credential": map[string]any{"payload": map[string]any{"iss": "https://other.example"}}}, want: "other_credential_issuer"},
		{name: "metadata of another issuer (VCI-17)", spoil: map[string]any{"metadata": map[string]any{"credential_issuer": "https://other.example"}}, want: "other_issuer"},
		{name: "a token endpoint without TLS (VCI-16)", spoil: map[string]any{"server": map[string]any{"token_endpoint": "http://other.example/token"}}, want: "unsafe_address"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			link, typed := tt.link, code
			if link == "" {
				link = preAuthorized()
			}
			if tt.code != "" {
				typed = tt.code
			}
			s.spoil(t, tt.spoil)
			h.in(t).refused(tt.want, "accept", "--yes", "--tx-code-file", typed, link)
		})
	}
	t.Run("wrongly addressed: the answer of another server (OA-04)", func(t *testing.T) {
		s.spoil(t, map[string]any{"answer": map[string]any{"iss": "https://other.example"}})
		printed, said := h.in(t).signIn(s.https, 20, "--json", s.offer(map[string]any{"signIn": true}))
		if !strings.Contains(printed, `"refused": "other_answer"`) {
			t.Errorf("it says %s%s", printed, said)
		}
	})
}

// strangersQuery asks for two claims, and for a third if the wallet likes.
var strangersQuery = map[string]any{"credentials": []any{map[string]any{
	"id": "licence", "format": "dc+sd-jwt", "meta": map[string]any{"vct_values": []string{strangerType}},
	"claims": []any{
		map[string]any{"id": "name", "path": []any{"given_name"}}, map[string]any{"id": "village", "path": []any{"village"}}, map[string]any{"id": "number", "path": []any{"number"}},
	},
	"claim_sets": []any{[]any{"name", "village", "number"}, []any{"name", "village"}},
}}}

// asked is a request of the stranger's.
type asked struct{ ID, Link, Object string }

func (s *stranger) request(how map[string]any) asked {
	s.t.Helper()
	if how == nil {
		how = map[string]any{}
	}
	if how["query"] == nil {
		how["query"] = strangersQuery
	}
	var a asked
	s.call("ask", how, &a)
	return a
}

// outcome is what the verifier got.
type outcome struct {
	Claims           map[string]map[string]any
	Invalid, Refused string
}

func (s *stranger) outcome(a asked) (o outcome) {
	s.t.Helper()
	s.call("outcome", map[string]any{"id": a.ID}, &o)
	return o
}

// registers is a trust bundle in which the verifier is registered for these claims.
func (s *stranger) registers(t *testing.T, claims []string) (*trust.Bundle, string) {
	t.Helper()
	now := time.Now().Truncate(time.Second)
	sign, root := keystest.Signer(t, keys.TrustBundle, keys.ES256, "bundle"), keystest.Signer(t, keys.TrustRoot, keys.ES256, "trust root")
	roots, err := trust.SignRoot(rand.Reader, nil, trust.Root{
		Version: 1, Issued: now.AddDate(0, -2, 0), Expires: now.AddDate(8, 0, 0), Keys: []keys.PublicKey{root.Key().Public}, Threshold: 1,
		BundleKeys: []keys.PublicKey{sign.Key().Public}, BundleThreshold: 1,
	}, []keys.Signer{root}, now.AddDate(0, -2, 0))
	if err != nil {
		t.Fatal(err)
	}
	content := trust.Content{
		Roots: roots, Version: 1, AsOf: now.Add(-time.Hour), RefreshBy: now.AddDate(0, 0, 10), OldAfter: now.AddDate(0, 0, 60), Jurisdiction: "XS",
		Verifiers: []trust.Verifier{{
			ID: "x509_san_dns:localhost", Names: map[string]string{"en": "Library of strangers"}, Asks: []trust.Asked{{Type: strangerType, Claims: claims}},
		}},
		Algorithms: es256,
	}
	file, err := content.Sign(rand.Reader, []keys.Signer{sign}, content.AsOf)
	if err != nil {
		t.Fatal(err)
	}
	b, err := trust.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	return b, s.file(t, "bundle.trust", string(file))
}

// TestWalletAtTheirVerifier: `wallet-cli` answers a verifier made of @openid4vc with two
// claims of four, and refuses what a careful wallet refuses of one.
func TestWalletAtTheirVerifier(t *testing.T) {
	s := newStranger(t)
	h := newHolder(t, s.tls)
	root := filepath.Join(s.dir, "root.pem")
	code := s.file(t, "code", "493536")

	// Before the root is trusted nobody vouches for the verifier, and --yes is not enough.
	_, said := h.run(2, "present", "--yes", s.request(nil).Link)
	if !strings.Contains(said, "UNKNOWN") {
		t.Errorf("an unknown verifier is shown as\n%s", said)
	}
	h.run(0, "trust", "root", "--yes", root)
	h.run(0, "accept", "--yes", "--tx-code-file", code, s.offer(map[string]any{"txCode": "493536"}))

	for _, tt := range []struct {
		name string
		post bool
		with []string
		want int
	}{{"by GET", false, nil, 2}, {"by POST with a nonce of the wallet", true, nil, 2}, {"with what is optional", false, []string{"--with", "number"}, 3}} {
		t.Run(tt.name, func(t *testing.T) {
			a := s.request(map[string]any{"post": tt.post})
			_, said := h.in(t).run(0, append(append([]string{"present", "--yes"}, tt.with...), a.Link)...)
			if !strings.Contains(said, "certified by Strangers' authority") {
				t.Errorf("the person is shown\n%s", said)
			}
			got := s.outcome(a)
			claims := got.Claims["licence"]
			found := 0
			for _, name := range []string{"given_name", "village", "number", "family_name"} {
				if claims[name] != nil {
					found++
				}
			}
			if got.Invalid != "" || claims["given_name"] != "Arthur" || claims["village"] != "Milliways" || found != tt.want || claims["family_name"] != nil {
				t.Errorf("the verifier got %+v", got)
			}
		})
	}

	// One that the issuer has revoked: the verifier sees it and does not say so, the wallet
	// finds out, and the next time it says so at once.
	t.Run("revoked: the credential", func(t *testing.T) {
		h := newHolder(t, s.tls)
		h.run(0, "trust", "root", "--yes", root)
		h.run(0, "accept", "--yes", "--tx-code-file", code, s.offer(map[string]any{"txCode": "493536"})) // places 3 to 5
		for place := range 3 {
			s.call("revoke", map[string]any{"index": 3 + place}, nil)
		}
		a := s.request(nil)
		h.refused("revoked", "present", "--yes", a.Link)
		if got := s.outcome(a); !strings.Contains(got.Invalid, "Status is not valid") {
			t.Errorf("the verifier found %+v", got)
		}
		a = s.request(nil)
		h.refused("revoked", "present", "--yes", a.Link)
		if got := s.outcome(a); got.Refused != "access_denied" {
			t.Errorf("the second time the verifier got %+v, want that it gets nothing", got)
		}
	})
	t.Run("expired: the credential", func(t *testing.T) {
		h := newHolder(t, s.tls)
		h.run(0, "trust", "root", "--yes", root)
		link, until := s.offer(map[string]any{"txCode": "493536"}), time.Now().Unix()+3
		s.spoil(t, map[string]any{"credential": map[string]any{"payload": map[string]any{"exp": until}}})
		h.run(0, "accept", "--yes", "--tx-code-file", code, link)
		time.Sleep(time.Until(time.Unix(until, 0).Add(50 * time.Millisecond)))
		a := s.request(nil)
		h.refused("expired", "present", "--yes", a.Link)
		if got := s.outcome(a); got.Refused != "access_denied" {
			t.Errorf("the verifier got %+v, want that it gets nothing", got)
		}
	})
	// The trust bundle registers the verifier by the name in its certificate.
	for _, tt := range []struct {
		name   string
		claims []string
		want   string
	}{{"registered for what it asks", []string{"given_name", "village", "number"}, ""}, {"over-asking: registered for less", []string{"given_name", "village"}, "over_asking"}} {
		t.Run(tt.name, func(t *testing.T) {
			b, file := s.registers(t, tt.claims)
			h := newHolder(t, s.tls)
			h.run(0, "trust", "root", "--yes", root)
			h.run(0, "trust", "import", "--fingerprint", b.Fingerprint(), file)
			h.run(0, "accept", "--yes", "--tx-code-file", code, s.offer(map[string]any{"txCode": "493536"}))
			a := s.request(nil)
			h.log = func() { t.Logf("the verifier got %+v", s.outcome(a)) }
			if tt.want != "" {
				h.refused(tt.want, "present", "--yes", a.Link)
				return
			}
			_, said := h.run(0, "present", "--yes", a.Link)
			if got := s.outcome(a); got.Invalid != "" || !strings.Contains(said, "Library of strangers") || !strings.Contains(said, "known by the trust bundle of XS") {
				t.Errorf("the verifier got %+v, the person is shown\n%s", got, said)
			}
		})
	}

	t.Run("told why: transaction data (VP-12)", func(t *testing.T) {
		data := base64.RawURLEncoding.EncodeToString([]byte(`{"type":"payment","credential_ids":["licence"]}`))
		s.spoil(t, map[string]any{"request": map[string]any{"transaction_data": []string{data}}})
		a := s.request(nil)
		h.in(t).refused("bad_message", "present", "--yes", a.Link)
		if got := s.outcome(a); got.Refused != "invalid_transaction_data" {
			t.Errorf("the verifier got %+v, want why it is refused", got)
		}
	})

	old := s.request(map[string]any{"post": true}) // its object is for no wallet nonce
	answered := s.request(nil)
	h.run(0, "present", "--yes", answered.Link)
	change := func(member string, value any) map[string]any {
		return map[string]any{"request": map[string]any{member: value}}
	}
	for _, tt := range []struct {
		name  string
		spoil map[string]any
		want  string
		link  string // in place of a fresh request
		how   map[string]any
	}{
		{name: "replayed: a request that was answered (VP-01)", want: "peer_refused", link: answered.Link},
		{name: "replayed: the request that another wallet got (VP-06)", want: "other_wallet", spoil: map[string]any{"replay": old.Object}, how: map[string]any{"post": true}},
		{name: "altered: the request", want: "forged_request", spoil: map[string]any{"flipRequest": true}},
		{name: "altered: the client of the link (VP-06)", want: "forged_request", spoil: change("client_id", "x509_hash:Uvo3HtuIxuhC92rShpgqcT3YXwrqRxWEviRiA0OZszk")},
		{name: "expired: the request", want: "old_request", spoil: map[string]any{"life": -600}},
		{name: "wrongly addressed: to another wallet (VP-06)", want: "other_wallet", spoil: map[string]any{"audience": "https://other.example"}},
		{name: "wrongly addressed: the answer goes elsewhere (VP-04)", want: "other_address", spoil: change("response_uri", "https://other.example/response")},
		{name: "an answer in the clear (VP-08)", want: "plain_answer", spoil: change("response_mode", "direct_post")},
		{name: "over-asking: a claim that the credential does not have", want: "nothing_to_show", how: map[string]any{"query": map[string]any{"credentials": []any{map[string]any{
			"id": "licence", "format": "dc+sd-jwt", "meta": map[string]any{"vct_values": []string{strangerType}}, "claims": []any{map[string]any{"path": []any{"religion"}}},
		}}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			link := tt.link
			if link == "" {
				link = s.request(tt.how).Link
			}
			s.spoil(t, tt.spoil)
			h.in(t).refused(tt.want, "present", "--yes", link)
		})
	}
}
