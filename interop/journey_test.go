package interop_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/did"
)

// An inspector is a whole verifier, made by the commands that an operator types, which
// trusts an office by the bundle that `issuer trust export` wrote and follows what its
// server publishes.
type inspector struct {
	testing.TB
	office *office
	dir    string
	public string // where wallets and everybody ask
	api    string // where the relying party asks
}

// inspection is what the inspector asks for: two claims of the four of a licence.
const inspection = `
policy: licence
version: 1
verifier: {name: {en: Market inspector}}
purpose: {en: To let you sell at the market.}
retention_days: 0
ask:
  - {id: licence, types: ["urn:xa:licence:1"], claims: [name, village]}
`

// newInspector makes an inspector and runs `verifier serve` until the test ends.
func newInspector(t *testing.T, o *office) *inspector {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	i := &inspector{TB: t, office: o, dir: at("verifier")}
	ports := freePorts(t, 2)
	i.public, i.api = "http://127.0.0.1:"+ports[0], "http://127.0.0.1:"+ports[1]
	command(t, 0, "verifier", "init", i.dir, "--name", "Market inspector", "--country", "XA", "--url", "http://localhost:"+ports[0])
	settings := filepath.Join(i.dir, "verifier.yaml")
	b, err := os.ReadFile(settings)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("127.0.0.1:8443", "127.0.0.1:"+ports[0], "127.0.0.1:9465", "127.0.0.1:"+ports[1]).Replace(string(b)) +
		"trust_sources: [" + o.url + "/trust/bundle.trust]\nlocal_hosts: [127.0.0.1]\n"
	for path, text := range map[string]string{settings: text, filepath.Join(i.dir, "policies", "licence.yaml"): inspection} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o.issuer("keys", "root", at("national"), "--name", "Republic of Xanadu", "--country", "XA")
	o.issuer("keys", "certify", "--csr", filepath.Join(i.dir, "request.csr"), "--root", at("national"), "--out", at("leaf.pem"))
	command(t, 0, "verifier", "keys", "import-chain", "--config", settings, "--chain", at("leaf.pem"), "--root", filepath.Join(at("national"), "root.pem"))
	var made struct {
		Fingerprint string `json:"root_fingerprint"`
	}
	if b := o.issuer("trust", "export", "--dir", o.dir, "--out", at("office.trust"), "--json"); json.Unmarshal(b, &made) != nil || made.Fingerprint == "" {
		t.Fatalf("trust export: %s", b)
	}
	command(t, 0, "verifier", "--dir", filepath.Join(i.dir, "trust"), "trust", "import", "--fingerprint", made.Fingerprint, at("office.trust"))

	cmd := exec.CommandContext(t.Context(), program(t, "verifier"), "serve", "--config", settings, "--dev-http")
	var said bytes.Buffer // read after it ended
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("verifier serve said:\n%s", said.Bytes())
		}
		for _, person := range []string{"Amina", "Juma", "Rahim", "Kassala"} {
			if bytes.Contains(said.Bytes(), []byte(person)) {
				t.Errorf("P22 the log of the verifier has %q", person)
			}
		}
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if r, err := http.Get(i.api + "/readyz"); err == nil {
			_ = r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return i
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("verifier serve is not ready")
		}
	}
}

// informed publishes what the office knows, has the verifier fetch it from the office's
// server, and waits until the one that serves has it.
func (i *inspector) informed() {
	i.Helper()
	i.office.issuer("status", "publish", "--dir", i.office.dir, "--out", filepath.Join(i.office.dir, "public"))
	cmd := exec.CommandContext(i.Context(), program(i, "verifier"), "trust", "update", "--config", filepath.Join(i.dir, "verifier.yaml"), "--json")
	b, err := cmd.Output()
	var got struct {
		Version uint64 `json:"bundle_version"`
	}
	if json.Unmarshal(b, &got) != nil || err != nil || got.Version == 0 {
		i.Fatalf("trust update: %v\n%s", err, b)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		var st struct{ Bundle struct{ Version uint64 } }
		status := i.call(http.MethodGet, i.public+"/status", nil, &st)
		if status == http.StatusOK && st.Bundle.Version >= got.Version {
			return
		}
		if time.Now().After(deadline) {
			i.Fatalf("the server answers %d and has version %d, want %d", status, st.Bundle.Version, got.Version)
		}
	}
}

// call asks the inspector's server in JSON.
func (i *inspector) call(method, address string, body, result any) (status int) {
	i.Helper()
	var b []byte
	var err error
	if body != nil {
		if b, err = json.Marshal(body); err != nil {
			i.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(i.Context(), method, address, bytes.NewReader(b))
	if err != nil {
		i.Fatal(err)
	}
	r.Header.Set("Accept", "application/json")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		i.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // read to its end
	if b, err = io.ReadAll(answer.Body); err != nil || json.Unmarshal(b, result) != nil {
		i.Fatalf("%s %s: %d %s %v", method, address, answer.StatusCode, b, err)
	}
	return answer.StatusCode
}

// An inspected licence is what came of a request.
type inspected struct {
	Status string
	Result struct {
		Verdict       string
		Reasons       []string
		Presentations []struct {
			Claims []struct {
				Path  []any
				Value any
			}
		}
	}
	told int // the status of the answer to the wallet
}

// claims are the claims that the relying party gets, by name.
func (r inspected) claims() map[string]any {
	all := map[string]any{}
	for _, p := range r.Result.Presentations {
		for _, c := range p.Claims {
			all[c.Path[0].(string)] = c.Value
		}
	}
	return all
}

// inspect asks for a licence, and has their wallet present this one with two claims of
// four; change changes the proof of possession, and alter what is sent.
func (i *inspector) inspect(p *peer, token string, change func(kb map[string]any), alter func(string) string) (got inspected) {
	i.Helper()
	var created struct{ ID, Link string }
	if status := i.call(http.MethodPost, i.api+"/requests", map[string]any{"policy": "licence"}, &created); status != http.StatusCreated {
		i.Fatalf("POST /requests: %d", status)
	}
	var opened resolved
	p.call("open", map[string]any{
		"link": created.Link, "loopback": true, "metadata": map[string]any{"vp_formats_supported": map[string]any{"dc+sd-jwt": map[string]any{}}},
	}, &opened)
	kb := map[string]any{"aud": opened.Client.Effective, "nonce": opened.Payload["nonce"], "iat": time.Now().Unix()}
	if change != nil {
		change(kb)
	}
	var shown string
	p.call("present", map[string]any{"token": token, "holder": "copy 0", "frame": map[string]any{"name": true, "village": true}, "kb": kb}, &shown)
	if strings.Count(shown, "~") != 3 {
		i.Errorf("the wallet shows %d claims, want two", strings.Count(shown, "~")-1)
	}
	if alter != nil {
		shown = alter(shown)
	}
	answer := map[string]any{"payload": opened.Payload, "token": map[string]any{"licence": []any{shown}}, "enc": "A256GCM", "send": true}
	var reply struct{ Status int }
	p.call("respond", answer, &reply)
	if status := i.call(http.MethodGet, i.api+"/requests/"+created.ID, nil, &got); status != http.StatusOK {
		i.Fatalf("GET /requests: %d", status)
	}
	got.told = reply.Status
	return got
}

// genuine inspects a licence that must be valid, and whose two claims and nothing else
// must reach the relying party.
func (i *inspector) genuine(p *peer, token string, want map[string]any) {
	i.Helper()
	got := i.inspect(p, token, nil, nil)
	if got.Status != "answered" || got.told != http.StatusOK || got.Result.Verdict != "valid" || !reflect.DeepEqual(got.claims(), want) {
		i.Errorf("%+v, want that it is valid with %v", got, want)
	}
}

// refused inspects a licence that must be invalid for this reason, which the wallet is
// not told.
func (i *inspector) refused(p *peer, token, reason string, change func(kb map[string]any), alter func(string) string) {
	i.Helper()
	got := i.inspect(p, token, change, alter)
	if got.Status != "answered" || got.told != http.StatusBadRequest || got.Result.Verdict != "invalid" || !slices.Contains(got.Result.Reasons, reason) || len(got.claims()) != 0 {
		i.Errorf("%+v, want that it is invalid for %s, without claims", got, reason)
	}
}

// flipped is a presentation with one bit of its issuer's signature changed.
func flipped(shown string) string {
	token, rest, _ := strings.Cut(shown, "~")
	at := strings.LastIndexByte(token, '.') + 1
	other := "A"
	if token[at] == 'A' {
		other = "Q"
	}
	return token[:at] + other + token[at+1:] + "~" + rest
}

// listedIn are the documents about the keys of credentials, as the server of the office
// gives them out, that have the key with this id.
func (o *office) listedIn(id string) (documents []string) {
	o.Helper()
	key, ok := o.keysOf("/jwks.json")[id]
	if ok {
		documents = append(documents, "JWKS")
	}
	if other, ok := o.keysOf("/.well-known/jwt-vc-issuer", "jwks")[id]; ok && other.Equal(key) {
		documents = append(documents, "jwt-vc-issuer")
	}
	name, err := did.Web(o.url, "127.0.0.1")
	if err != nil {
		o.Fatal(err)
	}
	doc, err := did.Parse(o.get("/.well-known/did.json"), name)
	if err != nil {
		o.Fatal(err)
	}
	if slices.ContainsFunc(doc.Keys(did.Assertion), key.Equal) {
		documents = append(documents, "did.json")
	}
	return documents
}

// TestTheirWalletAtOurPrograms: one wallet of @openid4vc obtains a licence from `issuer
// serve` by each flow and presents two claims of it to `verifier serve`. It goes on to do
// so when the issuer's key was rotated, and not when the licence was revoked.
func TestTheirWalletAtOurPrograms(t *testing.T) {
	p := startPeer(t, "journey.mjs")
	o := newOffice(t, "  any_client: true\n", map[string]string{
		"people.csv": "id,name,village,number,goods\nREC0000001,Amina Osman,Kassala,17,Dates\nREC0000002,Juma Mwangi,Nyeri,18,Tea\nREC0000003,Rahim Uddin,Jessore,19,Jute\n",
		"licence.yaml": strings.Replace(licence, "forms:\n", `  - {name: number, labels: {en: Number, fr: Numéro, ar: الرقم}, type: text, key: 2, from: number}
  - {name: goods, labels: {en: Goods, fr: Marchandises, ar: البضائع}, type: text, key: 3, from: goods}
forms:
`, 1),
	})
	i := newInspector(t, o)

	obtain := func(record string) string {
		t.Helper()
		made := o.offer(record, "--tx-code")
		var got issued
		p.call("preAuthorized", map[string]any{"offer": made.Offer, "txCode": made.TxCode, "copies": 2}, &got)
		if len(got.Credentials) != 2 || !strings.EqualFold(got.TokenType, "DPoP") {
			t.Fatalf("they got %+v", got)
		}
		return got.Credentials[0].Credential
	}
	signIn := func(record string) string {
		t.Helper()
		made := o.offer(record, "--claim-code")
		var at struct {
			URL string `json:"url"`
		}
		p.call("beginAuthorization", map[string]any{"offer": made.Offer, "clientId": "wallet.example", "redirectUri": "https://wallet.example/callback"}, &at)
		if !strings.Contains(at.URL, "request_uri=") || strings.Contains(at.URL, "code_challenge") {
			t.Errorf("the authorization request was not pushed: %s", at.URL)
		}
		var got issued
		p.call("finishAuthorization", map[string]any{"redirect": o.signIn(at.URL, made.ClaimCode), "copies": 2}, &got)
		if len(got.Credentials) != 2 || !strings.EqualFold(got.TokenType, "DPoP") {
			t.Fatalf("they got %+v", got)
		}
		return got.Credentials[0].Credential
	}
	amina, juma := obtain("REC0000001"), signIn("REC0000002")
	aminas, jumas := map[string]any{"name": "Amina Osman", "village": "Kassala"}, map[string]any{"name": "Juma Mwangi", "village": "Nyeri"}
	i.informed()
	i.genuine(p, amina, aminas)
	i.genuine(p, juma, jumas)

	earlier := ""
	i.inspect(p, amina, func(kb map[string]any) { earlier, _ = kb["nonce"].(string) }, nil)
	for _, tt := range []struct {
		name, reason string
		change       func(kb map[string]any)
		alter        func(string) string
	}{
		{"replayed: proved for an earlier request (VP-01)", "wrong_nonce", func(kb map[string]any) { kb["nonce"] = earlier }, nil},
		{"altered: the issuer's signature", "bad_signature", nil, flipped},
		{"wrongly addressed: proved for another verifier (VP-02)", "wrong_audience", func(kb map[string]any) { kb["aud"] = verifier }, nil},
		{"expired: proved an hour ago", "holder_proof_old", func(kb map[string]any) { kb["iat"] = time.Now().Add(-time.Hour).Unix() }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) { i.refused(p, amina, tt.reason, tt.change, tt.alter) })
	}
	var problem struct{ Code string }
	if status := i.call(http.MethodPost, i.api+"/requests", map[string]any{"policy": "licence", "claims": map[string]any{"licence": []string{"name", "goods"}}}, &problem); status/100 != 4 || problem.Code != "over_asking" {
		t.Errorf("over-asking: %d %s", status, problem.Code)
	}

	// The key that signed them is retired; who has seen it once and who has not find it still.
	old := keyOf(t, amina)
	rotate := func(want string, how ...string) {
		t.Helper()
		var got struct{ Step string }
		if b := o.issuer(append([]string{"keys", "rotate", "--dir", o.dir, "--json"}, how...)...); json.Unmarshal(b, &got) != nil || got.Step != want {
			t.Fatalf("keys rotate: %s, want %s", b, want)
		}
	}
	rotate("generate")
	o.issuer("trust", "export", "--dir", o.dir, "--out", filepath.Join(o.dir, "rotated.trust"))
	rotate("activate", "--emergency")
	rahim := obtain("REC0000003")
	fresh := keyOf(t, rahim)
	if fresh == old {
		t.Error("the retired key signs")
	}
	for _, id := range []string{old, fresh} {
		if documents := o.listedIn(id); len(documents) != 3 {
			t.Errorf("only %v have the key %s (retired is %s)", documents, id, old)
		}
	}
	i.informed()
	i.genuine(p, amina, aminas)
	i.genuine(p, juma, jumas)
	i.genuine(p, rahim, map[string]any{"name": "Rahim Uddin", "village": "Jessore"})
	for _, token := range []string{amina, rahim} { // and by @sd-jwt, with nothing but the server's documents
		var shown string
		p.call("present", map[string]any{"token": token, "holder": "copy 0", "frame": map[string]any{}, "kb": map[string]any{"aud": verifier, "nonce": "n-1", "iat": time.Now().Unix()}}, &shown)
		if refusal := o.theirCheck(p, shown); refusal != "" {
			t.Errorf("after the rotation they say %s", refusal)
		}
	}

	var stands []struct {
		ID string `json:"credential_id"`
	}
	if b := o.issuer("status", "--dir", o.dir, "--programme", "licence", "--record", "REC0000001", "--json"); json.Unmarshal(b, &stands) != nil || len(stands) != 1 {
		t.Fatalf("status: %s", b)
	}
	o.issuer("revoke", "--dir", o.dir, stands[0].ID, "--reason", "lost")
	i.informed()
	i.refused(p, amina, "revoked", nil, nil)
	i.genuine(p, juma, jumas)
}

// keyOf is the id of the key that signed a credential.
func keyOf(t *testing.T, token string) string {
	t.Helper()
	parsed, err := sdjwt.Parse(token)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.KeyID
}
