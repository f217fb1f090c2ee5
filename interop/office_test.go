package interop_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sanad-id/sanad/keys"
)

// programs is where the programs are built, once a run.
var programs struct {
	sync.Once
	dir string
	err error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if programs.dir != "" {
		_ = os.RemoveAll(programs.dir)
	}
	os.Exit(code)
}

// program returns the path of a program of ours.
func program(t testing.TB, name string) string {
	t.Helper()
	programs.Do(func() {
		if programs.dir, programs.err = os.MkdirTemp("", "sanad-interop-"); programs.err == nil {
			var out []byte
			if out, programs.err = exec.Command("go", "build", "-o", programs.dir, "../cmd/...", "../examples/relying-party").CombinedOutput(); programs.err != nil {
				programs.err = fmt.Errorf("%w\n%s", programs.err, out)
			}
		}
	})
	if programs.err != nil {
		t.Fatal(programs.err)
	}
	return filepath.Join(programs.dir, name)
}

// licence is a programme with a code and a wallet form.
const licence = `
id: licence
version: 1
type: urn:xa:licence:1
labels: {en: Licence, fr: Permis, ar: رخصة}
languages: [en, fr, ar]
records: {id_column: id}
validity: {for: 5y}
status: {suspend: true}
freshness: {fresh_for: 7d, old_after: 30d}
person_check: other_id
photo: {policy: none}
claims:
  - {name: name, labels: {en: Name, fr: Nom, ar: الاسم}, type: text, person: fullName, from: name, required: true}
  - {name: village, labels: {en: Village, fr: Village, ar: القرية}, type: text, key: 1, from: village}
forms:
  qr: {level: M, max_version: 20}
  wallet: {kind: sd-jwt, decoys: 3, copies: 8}
`

// An office is a whole issuer, made by the commands that an operator types.
type office struct {
	testing.TB
	dir, url string
	stop     func() // ends its server
}

// newOffice makes an office with three records and serves it, with these settings and
// these files beside them, until the test ends.
func newOffice(t testing.TB, serve string, files map[string]string) *office {
	t.Helper()
	// A free port must be known before the office has its address.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	o := &office{TB: t, dir: filepath.Join(t.TempDir(), "office"), url: "http://" + at}
	o.issuer("init", o.dir, "--name", "Civil Registry", "--country", "XA", "--url", o.url)
	all := map[string]string{
		"people.csv":   "id,name,village\nREC0000001,Amina Osman,Kassala\nREC0000002,Juma Mwangi,Nyeri\nREC0000003,Rahim Uddin,Jessore\n",
		"licence.yaml": licence,
	}
	maps.Copy(all, files)
	for name, text := range all {
		if err := os.WriteFile(filepath.Join(o.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	settings := filepath.Join(o.dir, "issuer.yaml")
	b, err := os.ReadFile(settings)
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.Replace(b, []byte("sources: {}\n"), []byte("sources:\n  people:\n    csv: people.csv\nserve:\n  published: public\n"+serve), 1)
	if err := os.WriteFile(settings, b, 0o600); err != nil {
		t.Fatal(err)
	}
	o.issuer("programme", "add", "--dir", o.dir, filepath.Join(o.dir, "licence.yaml"))
	o.serve(at)
	return o
}

// issuer runs a command of the program and returns what it says.
func (o *office) issuer(args ...string) []byte {
	o.Helper()
	cmd := exec.CommandContext(o.Context(), program(o, "issuer"), args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		o.Fatalf("issuer %s: %v\n%s", strings.Join(args, " "), err, errs.Bytes())
	}
	return out.Bytes()
}

// serve runs `issuer serve` until it is stopped or the test ends.
func (o *office) serve(at string) {
	o.Helper()
	cmd := exec.CommandContext(o.Context(), program(o, "issuer"), "serve", "--dir", o.dir, "--dev-http", "--listen", at)
	var said bytes.Buffer // read after it ended
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	if err := cmd.Start(); err != nil {
		o.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	o.stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	}
	o.Cleanup(func() {
		o.stop()
		if o.Failed() {
			o.Logf("issuer serve said:\n%s", said.Bytes())
		}
		// Promise P22: no person is in what it wrote.
		for _, person := range []string{"Amina", "Osman", "Juma", "Mwangi", "Rahim", "Kassala", "REC000000"} {
			if bytes.Contains(said.Bytes(), []byte(person)) {
				o.Errorf("the log of the server has %q", person)
			}
		}
	})
	for deadline := time.Now().Add(perCall); ; time.Sleep(50 * time.Millisecond) {
		r, err := http.Get(o.url + "/healthz")
		if err == nil {
			_ = r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-ended:
			o.Fatal("issuer serve ended")
		default:
		}
		if time.Now().After(deadline) {
			o.Fatalf("issuer serve does not answer: %v", err)
		}
	}
}

// An offer is what `issuer offer` prints.
type offer struct {
	Offer     string `json:"offer"`
	TxCode    string `json:"tx_code"`
	ClaimCode string `json:"claim_code"`
}

// offer offers the licence of one record.
func (o *office) offer(record string, how ...string) offer {
	o.Helper()
	var made offer
	b := o.issuer(append([]string{"offer", "--dir", o.dir, "--programme", "licence", "--record", record, "--json"}, how...)...)
	if err := json.Unmarshal(b, &made); err != nil {
		o.Fatalf("%s: %v", b, err)
	}
	return made
}

// get fetches a public document.
func (o *office) get(path string) []byte {
	o.Helper()
	r, err := http.Get(o.url + path)
	if err != nil {
		o.Fatal(err)
	}
	defer r.Body.Close() //nolint:errcheck // read to its end
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		o.Fatalf("%s: %d, %v", path, r.StatusCode, err)
	}
	return b
}

// keysOf are the keys that the issuer publishes at a path, by kid.
func (o *office) keysOf(path string, within ...string) map[string]keys.PublicKey {
	o.Helper()
	var doc map[string]json.RawMessage
	b := o.get(path)
	for _, name := range within {
		if err := json.Unmarshal(b, &doc); err != nil {
			o.Fatal(err)
		}
		b = doc[name]
	}
	var set struct {
		Keys []struct {
			KeyID string `json:"kid"`
		} `json:"keys"`
	}
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(b, &set); err != nil {
		o.Fatal(err)
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		o.Fatal(err)
	}
	all := map[string]keys.PublicKey{}
	for i, jwk := range raw.Keys {
		key, err := keys.ParseJWK(jwk)
		if err != nil {
			o.Fatal(err)
		}
		all[set.Keys[i].KeyID] = key
	}
	return all
}
