package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestJourney obtains a credential from a real `issuer serve`, by a transaction code and
// by a claim code, and reads it.
func TestJourney(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	issuer := filepath.Join(dir, "issuer")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", issuer, "../issuer").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	office := filepath.Join(dir, "office")
	run1 := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), issuer, args...)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("issuer %v: %v\n%s", args, err, errs.String())
		}
		return string(out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	_ = l.Close()
	file("records.csv", "id,name,village,kind,since\nR1,Amina Juma,Uhuru,2,2026-03-01\n")
	run1("init", office, "--name", "Civil Registry", "--country", "XA", "--url", "http://"+at)
	run1("programme", "add", "--dir", office, file("licence.yaml", licence))
	settings, err := os.ReadFile(filepath.Join(office, "issuer.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	settings = bytes.Replace(settings, []byte("sources: {}"), []byte("sources:\n  people: {csv: ../records.csv}"), 1)
	settings = append(settings, "\nserve: {clients: {sanad-wallet-cli: [\"http://127.0.0.1/back\"]}}\n"...)
	if err := os.WriteFile(filepath.Join(office, "issuer.yaml"), settings, 0o600); err != nil {
		t.Fatal(err)
	}
	bundle := filepath.Join(dir, "office.trust")
	run1("trust", "export", "--dir", office, "--out", bundle)
	serve := exec.CommandContext(t.Context(), issuer, "serve", "--dir", office, "--dev-http", "--listen", at)
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = serve.Process.Kill(); _ = serve.Wait() })
	answers := func() bool {
		c, err := net.DialTimeout("tcp", at, time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}
	for until := time.Now().Add(time.Minute); !answers(); {
		if time.Now().After(until) {
			t.Fatal("the issuer does not serve")
		}
		time.Sleep(50 * time.Millisecond)
	}
	pass := file("pass", "correct horse battery")
	walletCLI := func(stdin string, want int, args ...string) (string, string) {
		t.Helper()
		var out, errs bytes.Buffer
		args = append([]string{"--dir", filepath.Join(dir, "wallet"), "--passphrase-file", pass, "--dev-http"}, args...)
		if got := run(t.Context(), args, io.Reader(strings.NewReader(stdin)), &out, &errs); got != want {
			t.Fatalf("wallet-cli %v: exit %d, want %d\n%s%s", args, got, want, out.String(), errs.String())
		}
		return out.String(), errs.String()
	}
	offer := func(flag string) (o struct {
		Offer     string `json:"offer"`
		TxCode    string `json:"tx_code"`
		ClaimCode string `json:"claim_code"`
	}) {
		t.Helper()
		if err := json.Unmarshal([]byte(run1("offer", "--dir", office, "--programme", "licence", "--record", "R1", "--json", flag)), &o); err != nil {
			t.Fatal(err)
		}
		return o
	}
	walletCLI("", 0, "init")
	o := offer("--tx-code")
	// Nobody has said who that is.
	if _, said := walletCLI("", 20, "accept", "--yes", o.Offer); !strings.Contains(said, "unknown_issuer") {
		t.Errorf("said %s", said)
	}
	_, said := walletCLI("", 2, "trust", "import", bundle)
	_, fingerprint, _ := strings.Cut(said, `--fingerprint "`)
	fingerprint, _, _ = strings.Cut(fingerprint, `"`)
	walletCLI("", 0, "trust", "import", "--fingerprint", fingerprint, bundle)
	// A question needs a person or --yes; a wrong code is refused by the issuer.
	if _, said := walletCLI("", 2, "accept", o.Offer); !strings.Contains(said, "--yes") || !strings.Contains(said, "known by the trust bundle of XA") {
		t.Errorf("said %s", said)
	}
	code := file("code", o.TxCode)
	out, _ := walletCLI(o.Offer, 0, "accept", "--yes", "--tx-code-file", code, "-")
	if !strings.Contains(out, "Licence from Civil Registry, copies: 3") {
		t.Errorf("accept: %s", out)
	}
	if _, said := walletCLI(o.Offer, 20, "accept", "--yes", "--tx-code-file", code, "-"); !strings.Contains(said, "peer_refused") {
		t.Errorf("a second time: %s", said)
	}
	// A text in place of digits, as the settings may want it, typed as people type.
	write := func(find, put string) {
		t.Helper()
		if !bytes.Contains(settings, []byte(find)) {
			t.Fatalf("the settings have no %q", find)
		}
		settings = bytes.Replace(settings, []byte(find), []byte(put), 1)
		if err := os.WriteFile(filepath.Join(office, "issuer.yaml"), settings, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("serve: {", "serve: {tx_code: {length: 8, input_mode: text}, ")
	o = offer("--tx-code")
	if len(o.TxCode) != 8 || strings.ContainsAny(o.TxCode, "01258BILOSUZ") {
		t.Errorf("the code is %q", o.TxCode)
	}
	if out, _ := walletCLI("", 0, "accept", "--yes", "--tx-code-file", file("text", strings.ToLower(o.TxCode[:4])+"-"+o.TxCode[4:]), o.Offer); !strings.Contains(out, "copies: 3") {
		t.Errorf("accept: %s", out)
	}
	c := offer("--claim-code")
	if out, _ = walletCLI("", 0, "accept", "--yes", "--claim-code-file", file("claim", c.ClaimCode), c.Offer); !strings.Contains(out, "copies: 3") {
		t.Errorf("accept: %s", out)
	}
	var list struct {
		Credentials []view `json:"credentials"`
	}
	out, _ = walletCLI("", 0, "list", "--json")
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list.Credentials) != 3 || list.Credentials[0].Fresh != 3 || strings.Contains(out, "Amina") {
		t.Fatalf("list: %s, %v", out, err)
	}
	id := list.Credentials[0].ID
	if out, _ = walletCLI("", 0, "--lang", "fr", "show", "--offline", id); !strings.Contains(out, "Permis") || !strings.Contains(out, "Nom        Amina Juma") {
		t.Errorf("show: %s", out)
	}
	// Codes and dates in words, by the trust bundle.
	if !strings.Contains(out, "Étal\n") || !strings.Contains(out, "Depuis     1er mars 2026\n") {
		t.Errorf("show: %s", out)
	}
	if !strings.Contains(out, "jusqu’au") || !strings.Contains(out, "non demandé") {
		t.Errorf("show in French: %s", out)
	}
	if out, _ = walletCLI("", 0, "--lang", "ar", "show", id); !strings.Contains(out, "القائمة التي تبيّن") { // there is none yet
		t.Errorf("show in Arabic: %s", out)
	}
	if out, _ = walletCLI("", 0, "--lang", "fr", "show", "--offline", id); !strings.Contains(out, "Village    Uhuru") || strings.Contains(out, "map[") {
		t.Errorf("show: %s", out)
	}
	for claim, disclosures := range map[string]int{"name": 1, "address.village": 2} {
		if out, _ = walletCLI("", 0, "qr", "--json", "--claims", claim, id); strings.Count(out, "~") != disclosures+1 {
			t.Errorf("qr: %s", out)
		}
	}
	if out, _ = walletCLI("", 0, "--lang", "sw", "log"); !strings.Contains(out, "  imekubaliwa  ") {
		t.Errorf("log in Swahili: %s", out)
	}
	if out, _ = walletCLI("", 0, "log"); strings.Count(out, "\n") != 5 || strings.Contains(out, "Amina") {
		t.Errorf("log: %s", out)
	}
	walletCLI("", 0, "delete", "--yes", id)
	if out, _ = walletCLI("", 0, "list", "--json"); strings.Contains(out, id) {
		t.Errorf("still there: %s", out)
	}
}

// licence is a programme with a code and a wallet form.
const licence = `
id: licence
version: 1
type: urn:xa:licence:1
labels: {en: Licence, fr: Permis}
languages: [en, fr]
records: {id_column: id}
validity: {for: 5y}
status: {suspend: true}
freshness: {fresh_for: 7d, old_after: 30d}
person_check: other_id
photo: {policy: none}
claims:
  - {name: name, labels: {en: Name, fr: Nom}, type: text, person: fullName, from: name, required: true}
  - {name: address.village, labels: {en: Village, fr: Village}, type: text, key: 1, from: village}
  - {name: kind, labels: {en: Kind, fr: Catégorie}, type: code, code_list: kinds, key: 2, from: kind}
  - {name: since, labels: {en: Since, fr: Depuis}, type: date, key: 3, from: since}
code_lists:
  kinds:
    - {code: S, from: "1", labels: {en: Shop, fr: Boutique}}
    - {code: M, from: "2", labels: {en: Market stall, fr: Étal}}
forms:
  qr: {level: M, max_version: 20}
  wallet: {kind: sd-jwt, decoys: 3, copies: 3}
`
