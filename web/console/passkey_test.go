package console_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	virtual "github.com/descope/virtualwebauthn"
	"github.com/fxamacker/cbor/v2"

	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/web/console"
)

// A device is an authenticator with one passkey.
type device struct {
	rp   virtual.RelyingParty
	auth virtual.Authenticator
	key  virtual.Credential
}

func newDevice() *device {
	return &device{
		rp:   virtual.RelyingParty{Name: "Civil Registry", ID: "localhost", Origin: origin},
		auth: virtual.NewAuthenticator(), key: newKey(),
	}
}

// newKey is one whose coordinates fill their 32 bytes: the library writes others too
// short, as no authenticator does.
func newKey() virtual.Credential {
	for {
		if k := virtual.NewCredential(virtual.KeyTypeEC2); len(k.Key.AttestationData()) == 77 {
			return k
		}
	}
}

// invite makes an operator who has a link, and returns its secret.
func (b *bed) invite(office string, kind staff.InvitationKind, roles ...staff.Role) (staff.Operator, string) {
	b.t.Helper()
	op := staff.Operator{ID: staff.NewID("op"), Name: "Badru", Office: office, Roles: roles, Made: b.clock()}
	secret, link := staff.NewInvitation(kind, b.clock())
	must(b.t, b.desk.Invite(b.t.Context(), op, link))
	return op, secret
}

// asked is the answer to the beginning of a ceremony.
type asked struct {
	Ceremony string          `json:"ceremony"`
	Options  json.RawMessage `json:"options"`
}

func (w *browser) json(path string, body any) answer {
	w.b.t.Helper()
	content, err := json.Marshal(body)
	must(w.b.t, err)
	return w.do(http.MethodPost, path, web.MediaJSON, content)
}

// begin asks for a question and must get one.
func (w *browser) begin(path string) asked {
	w.b.t.Helper()
	a := w.json(path, map[string]string{})
	var q asked
	if a.status != http.StatusOK || json.Unmarshal([]byte(a.body), &q) != nil {
		w.b.t.Fatalf("%s: %d %s", path, a.status, a.body)
	}
	return q
}

// create answers a question with the device's new passkey.
func (d *device) create(t *testing.T, q asked) string {
	t.Helper()
	options, err := virtual.ParseAttestationOptions(string(q.Options))
	must(t, err)
	d.auth.Options.UserHandle = []byte(options.UserID)
	return virtual.CreateAttestationResponse(d.rp, d.auth, d.key, *options)
}

// get answers a question with the device's passkey.
func (d *device) get(t testing.TB, q asked) string {
	t.Helper()
	options, err := virtual.ParseAssertionOptions(string(q.Options))
	must(t, err)
	return virtual.CreateAssertionResponse(d.rp, d.auth, d.key, *options)
}

// finish sends the answer.
func (w *browser) finish(path string, q asked, response string) answer {
	w.b.t.Helper()
	return w.json(path, map[string]any{"ceremony": q.Ceremony, "response": json.RawMessage(response), "name": "phone", "next": "/console/help"})
}

// certified is an attestation statement of the format packed by a maker of authenticators.
func certified(t *testing.T, authData, clientData []byte) map[string]any {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	of := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
		Subject: pkix.Name{Country: []string{"SE"}, Organization: []string{"Maker"}, OrganizationalUnit: []string{"Authenticator Attestation"}, CommonName: "Model 1"},
	}
	der, err := x509.CreateCertificate(rand.Reader, of, of, key.Public(), key)
	must(t, err)
	sum := sha256.Sum256(clientData)
	digest := sha256.Sum256(append(append([]byte{}, authData...), sum[:]...))
	sig, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	must(t, err)
	return map[string]any{"alg": -7, "sig": sig, "x5c": [][]byte{der}}
}

// enrolled is an operator who has used the link with a device, and the browser.
func (b *bed) enrolled(office string, roles ...staff.Role) (*browser, *device) {
	b.t.Helper()
	op, secret := b.invite(office, staff.InviteLink, roles...)
	w, d := b.visitor(), newDevice()
	path := "/invitation/" + secret
	q := w.begin(path + "/begin")
	if a := w.finish(path+"/finish", q, d.create(b.t, q)); a.status != http.StatusOK {
		b.t.Fatalf("enrol: %d %s", a.status, a.body)
	}
	w.Operator = op
	return w, d
}

func (w *browser) signIn(d *device) answer {
	w.b.t.Helper()
	q := w.begin("/sign-in/begin")
	return w.finish("/sign-in/finish", q, d.get(w.b.t, q))
}

func TestFromInvitationToSecondPasskey(t *testing.T) {
	b := newBed(t)
	_, secret := b.invite("north", staff.InviteLink, staff.Clerk)
	w := b.visitor()
	if a := w.get("/invitation/" + secret); a.status != http.StatusOK || !strings.Contains(a.body, "<bdi>Badru</bdi>") || !strings.Contains(a.body, "North office") {
		t.Fatalf("the invitation: %d", a.status)
	}
	d := newDevice()
	path := "/invitation/" + secret
	q := w.begin(path + "/begin")
	if a := w.finish(path+"/finish", q, d.create(t, q)); a.status != http.StatusOK || !strings.Contains(a.body, "/console/account") {
		t.Fatalf("enrol: %d %s", a.status, a.body)
	}
	if a := w.get("/account"); a.status != http.StatusOK || !strings.Contains(a.body, "phone") || !strings.Contains(a.body, "only one passkey") {
		t.Errorf("the account: %d", a.status)
	}
	if notes := b.audit.all(); len(notes) != 2 || notes[0].Action != "account.enrolled" || notes[0].Kind != "operator.intended" || notes[1].Kind != "operator.done" {
		t.Errorf("the audit log has %v", notes)
	}
	// Another browser, the same passkey; where it wanted to go.
	w2 := b.visitor()
	if a := w2.get("/account"); a.to() != "/console/sign-in?next=%2Fconsole%2Faccount" {
		t.Errorf("a stranger is led to %q", a.to())
	}
	d.key.Counter++
	if a := w2.signIn(d); a.status != http.StatusOK || !strings.Contains(a.body, `"/console/help"`) {
		t.Fatalf("sign in: %d %s", a.status, a.body)
	}
	if a := w2.get("/account"); a.status != http.StatusOK {
		t.Errorf("signed in: %d", a.status)
	}
	// A second passkey needs the first one anew.
	b.later(6 * time.Minute)
	if a := w2.json("/account/passkeys/begin", map[string]string{}); a.status != http.StatusUnauthorized {
		t.Fatalf("a second passkey without the first: %d", a.status)
	}
	before := w2.cookie("sanad-console")
	q = w2.begin("/confirm/begin")
	d.key.Counter++
	if a := w2.finish("/confirm/finish", q, d.get(t, q)); a.status != http.StatusOK {
		t.Fatalf("confirm: %d %s", a.status, a.body)
	}
	if w2.cookie("sanad-console") == before {
		t.Error("WA-10 the token stayed when the rights grew")
	}
	second := newDevice()
	q = w2.begin("/account/passkeys/begin")
	if a := w2.finish("/account/passkeys/finish", q, second.create(t, q)); a.status != http.StatusOK {
		t.Fatalf("add: %d %s", a.status, a.body)
	}
	if a := b.visitor().signIn(second); a.status != http.StatusOK {
		t.Errorf("sign in with the second: %d %s", a.status, a.body)
	}
	// Removing the first ends the other browser's session, not this one.
	id := base64.RawURLEncoding.EncodeToString(d.key.ID)
	if a := w2.post("/account/passkeys/remove", "id", id); a.status != http.StatusSeeOther {
		t.Fatalf("remove: %d", a.status)
	}
	if a := w2.get("/account"); a.status != http.StatusOK || !strings.Contains(a.body, `role="status"`) {
		t.Errorf("this session: %d", a.status)
	}
	if a := w.get("/account"); a.status != http.StatusSeeOther {
		t.Errorf("the other session goes on: %d", a.status)
	}
	if a := b.visitor().signIn(d); a.status != http.StatusUnauthorized {
		t.Errorf("a removed passkey signs in: %d", a.status)
	}
	if a := w2.post("/account/passkeys/remove", "id", base64.RawURLEncoding.EncodeToString(second.key.ID)); a.status != http.StatusConflict {
		t.Errorf("the last passkey was removed: %d", a.status)
	}
	if a := w2.post("/sign-out"); a.status != http.StatusSeeOther || w2.get("/account").status != http.StatusSeeOther {
		t.Errorf("sign out: %d", a.status)
	}
}

// TestSignInRefuses spoils one thing in a sign-in that is good otherwise. All refusals
// look the same.
func TestSignInRefuses(t *testing.T) {
	type fixture struct {
		b *bed
		w *browser
		d *device
		q asked
		// response replaces the device's if it is set.
		response string
	}
	clientData := func(t *testing.T, f *fixture, change func(map[string]any)) {
		t.Helper()
		var whole map[string]any
		must(t, json.Unmarshal([]byte(f.d.get(t, f.q)), &whole))
		inner := whole["response"].(map[string]any)
		raw, err := base64.RawURLEncoding.DecodeString(inner["clientDataJSON"].(string))
		must(t, err)
		var data map[string]any
		must(t, json.Unmarshal(raw, &data))
		change(data)
		raw, err = json.Marshal(data)
		must(t, err)
		inner["clientDataJSON"] = base64.RawURLEncoding.EncodeToString(raw)
		// The device signs for it, so nothing else is wrong.
		signed, err := base64.RawURLEncoding.DecodeString(inner["authenticatorData"].(string))
		must(t, err)
		sum := sha256.Sum256(raw)
		digest := sha256.Sum256(append(signed, sum[:]...))
		sig, err := f.d.key.Key.Sign(digest[:])
		must(t, err)
		inner["signature"] = base64.RawURLEncoding.EncodeToString(sig)
		b, err := json.Marshal(whole)
		must(t, err)
		f.response = string(b)
	}
	// another origin is signed for by the device, so nothing else is wrong.
	at := func(o string) func(*testing.T, *fixture) {
		return func(_ *testing.T, f *fixture) { f.d.rp.Origin = o }
	}
	tests := []struct {
		name  string
		spoil func(t *testing.T, f *fixture)
		want  int
	}{
		{"good", func(*testing.T, *fixture) {}, http.StatusOK},
		{"WA-01 another subdomain", at("http://other.localhost"), 401},
		{"WA-01 another port", at("http://localhost:8080"), 401},
		{"WA-01 another scheme", at("https://localhost"), 401},
		{"WA-01 a look-alike", at("http://1ocalhost"), 401},
		{"WA-01 with a path", at("http://localhost/console"), 401},
		{"WA-01 an opaque origin", at("null"), 401},
		{"good, with more than the browser must say", func(t *testing.T, f *fixture) {
			clientData(t, f, func(d map[string]any) { d["crossOrigin"], d["further"] = false, "x" })
		}, http.StatusOK},
		{"WA-01 in a frame", func(t *testing.T, f *fixture) {
			clientData(t, f, func(d map[string]any) { d["crossOrigin"] = true })
		}, 401},
		{"WA-01 in a frame of another origin", func(t *testing.T, f *fixture) {
			clientData(t, f, func(d map[string]any) { d["crossOrigin"], d["topOrigin"] = true, "https://evil.example" })
		}, 401},
		{"WA-02 another relying party", func(_ *testing.T, f *fixture) { f.d.rp.ID = "other.localhost" }, 401},
		{"WA-03 a challenge of our own making", func(_ *testing.T, f *fixture) {
			f.q.Options = json.RawMessage(strings.Replace(string(f.q.Options), `"challenge":"`, `"challenge":"AAAA`, 1))
		}, 401},
		{"WA-03 the answer to another question", func(_ *testing.T, f *fixture) {
			f.q.Options = f.w.begin("/sign-in/begin").Options
		}, 401},
		{"WA-03 too late", func(_ *testing.T, f *fixture) { f.b.later(2 * time.Minute) }, 401},
		{"WA-03 sent again", func(t *testing.T, f *fixture) {
			f.response = f.d.get(t, f.q)
			if a := f.b.visitor().finish("/sign-in/finish", f.q, f.response); a.status != http.StatusOK {
				t.Fatalf("the first time: %d", a.status)
			}
		}, 401},
		{"WA-03 the question of a confirmation", func(_ *testing.T, f *fixture) {
			other, _ := f.b.enrolled("north", staff.Clerk)
			f.q = other.begin("/confirm/begin")
		}, 401},
		{"WA-03 no question", func(_ *testing.T, f *fixture) { f.q.Ceremony = "" }, 401},
		{"WA-03 the challenge in the body is right and the signed one is not", func(t *testing.T, f *fixture) {
			clientData(t, f, func(d map[string]any) { d["challenge"] = "AAAA" })
		}, 401},
		{"WA-04 nobody was present", func(_ *testing.T, f *fixture) { f.d.auth.Options.UserNotPresent = true }, 401},
		{"WA-04 nobody was verified", func(_ *testing.T, f *fixture) { f.d.auth.Options.UserNotVerified = true }, 401},
		{"WA-06 the counter went back", func(_ *testing.T, f *fixture) { f.d.key.Counter = 4 }, 401},
		{"the passkey of nobody", func(_ *testing.T, f *fixture) {
			handle := f.d.auth.Options.UserHandle
			f.d = newDevice()
			f.d.auth.Options.UserHandle = handle
		}, 401},
		{"the handle of somebody else", func(_ *testing.T, f *fixture) {
			other, _ := f.b.enrolled("north", staff.Clerk)
			f.d.auth.Options.UserHandle = []byte(other.Operator.ID)
		}, 401},
		{"the handle of nobody", func(_ *testing.T, f *fixture) { f.d.auth.Options.UserHandle = []byte("op-nobody") }, 401},
		{"no handle", func(_ *testing.T, f *fixture) { f.d.auth.Options.UserHandle = nil }, 401},
		{"signed by another key", func(_ *testing.T, f *fixture) { f.d.key.Key = newKey().Key }, 401},
		{"suspended", func(t *testing.T, f *fixture) {
			must(t, f.b.desk.SetStanding(t.Context(), string(f.d.auth.Options.UserHandle), staff.Suspended))
		}, 401},
		{"not JSON", func(_ *testing.T, f *fixture) { f.response = `"` }, 401},
		{"nothing", func(_ *testing.T, f *fixture) { f.response = `{}` }, 401},
		{"a member twice", func(_ *testing.T, f *fixture) { f.response = `{"id":"a","id":"b"}` }, 401},
		{"as a registration", func(t *testing.T, f *fixture) {
			clientData(t, f, func(d map[string]any) { d["type"] = "webauthn.create" })
		}, 401},
	}
	var refusal string
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t)
			_, d := b.enrolled("north", staff.Clerk)
			d.key.Counter = 5
			if a := b.visitor().signIn(d); a.status != http.StatusOK {
				t.Fatalf("before: %d %s", a.status, a.body)
			}
			d.key.Counter = 6
			w := b.visitor()
			f := &fixture{b: b, w: w, d: d, q: w.begin("/sign-in/begin")}
			tt.spoil(t, f)
			if f.response == "" {
				f.response = f.d.get(t, f.q)
			}
			body := `{"ceremony":"` + f.q.Ceremony + `","response":` + f.response + `}`
			a := w.do(http.MethodPost, "/sign-in/finish", web.MediaJSON, []byte(body))
			if a.status != tt.want {
				t.Fatalf("%d %s, want %d", a.status, a.body, tt.want)
			}
			if tt.want == http.StatusOK {
				return
			}
			if w.get("/account").status != http.StatusSeeOther {
				t.Error("refused, and signed in all the same")
			}
			if refusal == "" {
				refusal = a.body
			}
			if a.body != refusal {
				t.Errorf("WA-17 this refusal is not like the others: %s", a.body)
			}
		})
	}
}

// TestClonedPasskeyIsLocked: WA-06, both copies are of no use any more.
func TestClonedPasskeyIsLocked(t *testing.T) {
	b := newBed(t)
	_, d := b.enrolled("north", staff.Approver)
	d.key.Counter = 9
	if a := b.visitor().signIn(d); a.status != http.StatusOK {
		t.Fatalf("the first: %d", a.status)
	}
	d.key.Counter = 7
	if a := b.visitor().signIn(d); a.status != http.StatusUnauthorized {
		t.Fatalf("the copy: %d", a.status)
	}
	d.key.Counter = 12
	if a := b.visitor().signIn(d); a.status != http.StatusUnauthorized {
		t.Errorf("afterwards: %d", a.status)
	}
	notes := b.audit.all()
	if n := notes[len(notes)-1]; n.Action != "account.passkey_locked" {
		t.Errorf("the audit log ends with %s", n.Action)
	}
}

// TestGuessesAreCounted: WA-19, attempts with one passkey, whatever address they come
// from and whatever browser.
func TestGuessesAreCounted(t *testing.T) {
	b := newBed(t)
	_, d := b.enrolled("north", staff.Clerk)
	good := d.key.Key
	d.key.Key = newKey().Key
	for i := range 10 {
		if a := b.visitor().signIn(d); a.status != http.StatusUnauthorized {
			t.Fatalf("guess %d: %d", i+1, a.status)
		}
	}
	if a := b.visitor().signIn(d); a.status != http.StatusTooManyRequests {
		t.Errorf("guess 11: %d, want 429", a.status)
	}
	d.key.Key = good
	if a := b.visitor().signIn(d); a.status != http.StatusTooManyRequests {
		t.Errorf("the right key in the same quarter: %d, want 429", a.status)
	}
	// Nobody else is kept out.
	_, other := b.enrolled("north", staff.Clerk)
	if a := b.visitor().signIn(other); a.status != http.StatusOK {
		t.Errorf("somebody else: %d", a.status)
	}
	b.later(15 * time.Minute)
	if a := b.visitor().signIn(d); a.status != http.StatusOK {
		t.Errorf("the right key later: %d", a.status)
	}
}

// TestEnrolRefuses spoils one thing in a registration that is good otherwise.
func TestEnrolRefuses(t *testing.T) {
	type fixture struct {
		b        *bed
		w        *browser
		d        *device
		q        asked
		path     string
		response string
	}
	var client []byte // what the browser said, of the last attestation
	attestation := func(t *testing.T, f *fixture, change func(map[string]any)) {
		t.Helper()
		var whole map[string]any
		must(t, json.Unmarshal([]byte(f.d.create(t, f.q)), &whole))
		inner := whole["response"].(map[string]any)
		var err error
		client, err = base64.RawURLEncoding.DecodeString(inner["clientDataJSON"].(string))
		must(t, err)
		raw, err := base64.RawURLEncoding.DecodeString(inner["attestationObject"].(string))
		must(t, err)
		var object map[string]any
		must(t, cbor.Unmarshal(raw, &object))
		change(object)
		raw, err = cbor.Marshal(object)
		must(t, err)
		inner["attestationObject"] = base64.RawURLEncoding.EncodeToString(raw)
		b, err := json.Marshal(whole)
		must(t, err)
		f.response = string(b)
	}
	rewrite := func(t *testing.T, f *fixture, object []byte) {
		t.Helper()
		var whole map[string]any
		must(t, json.Unmarshal([]byte(f.d.create(t, f.q)), &whole))
		whole["response"].(map[string]any)["attestationObject"] = base64.RawURLEncoding.EncodeToString(object)
		b, err := json.Marshal(whole)
		must(t, err)
		f.response = string(b)
	}
	tests := []struct {
		name  string
		spoil func(t *testing.T, f *fixture)
		want  int
	}{
		{"good", func(*testing.T, *fixture) {}, 200},
		{"good, without attestation", func(t *testing.T, f *fixture) {
			attestation(t, f, func(o map[string]any) { o["fmt"], o["attStmt"] = "none", map[string]any{} })
		}, 200},
		{"good, an old security chip", func(_ *testing.T, f *fixture) { f.d.key = virtual.NewCredential(virtual.KeyTypeRSA) }, 200},
		{"WA-01 another origin", func(_ *testing.T, f *fixture) { f.d.rp.Origin = "http://evil.example" }, 401},
		{"WA-01 in a frame of another origin", func(t *testing.T, f *fixture) {
			attestation(t, f, func(o map[string]any) { o["fmt"], o["attStmt"] = "none", map[string]any{} }) // so nothing is signed
			var whole map[string]any
			must(t, json.Unmarshal([]byte(f.response), &whole))
			inner := whole["response"].(map[string]any)
			raw, err := base64.RawURLEncoding.DecodeString(inner["clientDataJSON"].(string))
			must(t, err)
			raw = append(raw[:len(raw)-1], `,"crossOrigin":true}`...)
			inner["clientDataJSON"] = base64.RawURLEncoding.EncodeToString(raw)
			b, err := json.Marshal(whole)
			must(t, err)
			f.response = string(b)
		}, 401},
		{"WA-02 another relying party", func(_ *testing.T, f *fixture) { f.d.rp.ID = "evil.example" }, 401},
		{"WA-03 the answer to another question", func(_ *testing.T, f *fixture) { f.q.Options = f.w.begin(f.path + "/begin").Options }, 401},
		{"WA-03 too late", func(_ *testing.T, f *fixture) { f.b.later(2 * time.Minute) }, 401},
		{"WA-03 the question to somebody else", func(_ *testing.T, f *fixture) {
			_, secret := f.b.invite("north", staff.InviteLink, staff.Clerk)
			f.q = f.w.begin("/invitation/" + secret + "/begin")
		}, 401},
		{"WA-04 nobody was verified", func(_ *testing.T, f *fixture) { f.d.auth.Options.UserNotVerified = true }, 401},
		{"WA-04 nobody was present", func(_ *testing.T, f *fixture) { f.d.auth.Options.UserNotPresent = true }, 401},
		{"WA-05 an attestation that is not listed", func(t *testing.T, f *fixture) {
			attestation(t, f, func(o map[string]any) { o["fmt"] = "android-safetynet" })
		}, 401},
		{"WA-05 an attestation with certificates", func(t *testing.T, f *fixture) {
			// Nothing else is wrong with it (WebAuthn Level 3 section 8.2).
			attestation(t, f, func(o map[string]any) { o["attStmt"] = certified(t, o["authData"].([]byte), client) })
		}, 401},
		{"WA-05 an algorithm that is not listed", func(t *testing.T, f *fixture) {
			attestation(t, f, func(o map[string]any) {
				o["fmt"], o["attStmt"] = "none", map[string]any{}
				// The key of the credential is the end of the data: 3 says the algorithm.
				data := o["authData"].([]byte)
				i := strings.Index(string(data), "\x03\x26") // 3: -7, ES256
				if i < 0 {
					t.Fatal("no algorithm in the key")
				}
				o["authData"] = append(append(append([]byte{}, data[:i+1]...), 0x38, 0x22), data[i+2:]...) // -35, ES384
			})
		}, 401},
		{"WA-07 a passkey of somebody else", func(_ *testing.T, f *fixture) {
			_, other := f.b.enrolled("north", staff.Clerk)
			f.d.key = other.key
		}, 409},
		{"WA-08 a bomb of nested arrays", func(t *testing.T, f *fixture) { rewrite(t, f, []byte(strings.Repeat("\x81", 30000))) }, 401},
		{"WA-08 an array of a thousand million", func(t *testing.T, f *fixture) { rewrite(t, f, []byte("\x9a\x3b\x9a\xca\x00")) }, 401},
		{"WA-08 a long text", func(t *testing.T, f *fixture) { rewrite(t, f, []byte("\x7b\x7f\xff\xff\xff\xff\xff\xff\xff")) }, 401},
		{"WA-08 a body that is too long", func(_ *testing.T, f *fixture) { f.response = `"` + strings.Repeat("A", 65<<10) + `"` }, 413},
		{"WA-09 the link was used", func(t *testing.T, f *fixture) {
			other := newDevice()
			q := f.w.begin(f.path + "/begin")
			if a := f.b.visitor().finish(f.path+"/finish", q, other.create(t, q)); a.status != http.StatusOK {
				t.Fatalf("the first time: %d %s", a.status, a.body)
			}
		}, 404},
		{"WA-09 the link is too late", func(_ *testing.T, f *fixture) { f.b.later(staff.InviteLink.Lifetime()) }, 404},
		{"suspended meanwhile", func(t *testing.T, f *fixture) {
			f.d.create(t, f.q)
			must(t, f.b.desk.SetStanding(t.Context(), string(f.d.auth.Options.UserHandle), staff.Suspended))
		}, 404},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t)
			op, secret := b.invite("north", staff.InviteLink, staff.Clerk)
			w := b.visitor()
			f := &fixture{b: b, w: w, d: newDevice(), path: "/invitation/" + secret}
			f.q = w.begin(f.path + "/begin")
			tt.spoil(t, f)
			if f.response == "" {
				f.response = f.d.create(t, f.q)
			}
			began := time.Now()
			a := w.do(http.MethodPost, f.path+"/finish", web.MediaJSON, []byte(`{"ceremony":"`+f.q.Ceremony+`","response":`+f.response+`}`))
			if a.status != tt.want {
				t.Fatalf("%d %s, want %d", a.status, a.body, tt.want)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			keys, err := b.desk.Passkeys(t.Context(), op.ID)
			must(t, err)
			if signedIn := w.get("/account").status == http.StatusOK; signedIn != (tt.want == 200) {
				t.Errorf("signed in: %v", signedIn)
			}
			if tt.want == 200 && len(keys) != 1 {
				t.Errorf("%d passkeys", len(keys))
			}
		})
	}
}

// TestDeviceBoundRoles: WA-05, a passkey that a cloud account copies is refused for
// roles that must not have one, and only for them.
func TestDeviceBoundRoles(t *testing.T) {
	b := newBed(t, func(c *console.Config) { c.DeviceBound = []staff.Role{staff.Administrator} })
	for role, want := range map[staff.Role]int{staff.Administrator: http.StatusForbidden, staff.Clerk: http.StatusOK} {
		_, secret := b.invite("north", staff.InviteLink, role)
		w, d := b.visitor(), newDevice()
		d.auth.Options.BackupEligible = true
		q := w.begin("/invitation/" + secret + "/begin")
		if a := w.finish("/invitation/"+secret+"/finish", q, d.create(t, q)); a.status != want {
			t.Errorf("%s: %d, want %d", role, a.status, want)
		}
	}
}

// TestSessionIsNew: WA-10, session fixation. What was in the cookie before signing in
// is nothing afterwards.
func TestSessionIsNew(t *testing.T) {
	b := newBed(t)
	_, d := b.enrolled("north", staff.Clerk)
	for name, planted := range map[string]string{"made up": strings.Repeat("A", 43), "of somebody else": b.as("south", staff.Head).cookie("sanad-console")} {
		w := b.visitor()
		w.set(&http.Cookie{Name: "sanad-console", Value: planted, Path: "/"})
		if a := w.signIn(d); a.status != http.StatusOK {
			t.Fatalf("%s: %d", name, a.status)
		}
		if w.cookie("sanad-console") == planted {
			t.Errorf("%s: the planted token was kept", name)
		}
		thief := b.visitor()
		thief.set(&http.Cookie{Name: "sanad-console", Value: planted, Path: "/"})
		if a := thief.get("/account"); a.status == http.StatusOK && strings.Contains(a.body, "Badru") {
			t.Errorf("%s: the planted token is signed in", name)
		}
	}
}

// TestCookie: WA-10, what the cookie of a console over TLS is.
func TestCookie(t *testing.T) {
	b := newBed(t, func(c *console.Config) { c.Origin = "https://registry.example" })
	k, err := b.SignIn(b.person("north", staff.Clerk), b.clock())
	must(t, err)
	if k.Name != "__Host-sanad" || !k.Secure || !k.HttpOnly || k.Path != "/" || k.Domain != "" || k.SameSite != http.SameSiteLaxMode || k.MaxAge != 0 || !k.Expires.IsZero() {
		t.Errorf("the cookie is %v", k)
	}
	// Its token is nowhere in the database.
	if _, found, err := b.desk.FindCtx(t.Context(), k.Value); err != nil || found {
		t.Errorf("the token is stored as it is: %v", err)
	}
}

// TestLinksLookTheSame: WA-17, a link that was used, is late or was made up.
func TestLinksLookTheSame(t *testing.T) {
	b := newBed(t)
	_, used := b.invite("north", staff.InviteLink, staff.Clerk)
	w, d := b.visitor(), newDevice()
	q := w.begin("/invitation/" + used + "/begin")
	if a := w.finish("/invitation/"+used+"/finish", q, d.create(t, q)); a.status != http.StatusOK {
		t.Fatal(a.body)
	}
	_, late := b.invite("north", staff.FirstLink, staff.Clerk)
	b.later(25 * time.Hour)
	made, _ := staff.NewInvitation(staff.InviteLink, b.clock())
	strip := func(a answer) string { // the request id and the way back differ
		body, _, _ := strings.Cut(a.body, "<p class=\"soft\">")
		_, body, _ = strings.Cut(body, "<main")
		return body
	}
	var first string
	for name, secret := range map[string]string{"used": used, "late": late, "made up": made, "short": "abc", "odd": "*"} {
		a := b.visitor().get("/invitation/" + secret)
		if a.status != http.StatusNotFound {
			t.Errorf("%s: %d", name, a.status)
		}
		if first == "" {
			first = strip(a)
		}
		if strip(a) != first {
			t.Errorf("WA-17 the page of a link that is %s differs", name)
		}
	}
}

// TestAuditBeforeEnrolment: P08, an account is not made while the log cannot be written.
func TestAuditBeforeEnrolment(t *testing.T) {
	b := newBed(t)
	op, secret := b.invite("north", staff.InviteLink, staff.Clerk)
	b.audit.fail(errors.New("the disk is full"))
	w, d := b.visitor(), newDevice()
	q := w.begin("/invitation/" + secret + "/begin")
	if a := w.finish("/invitation/"+secret+"/finish", q, d.create(t, q)); a.status != http.StatusServiceUnavailable {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if got, err := b.desk.Operator(t.Context(), op.ID); err != nil || got.Standing != staff.Invited {
		t.Errorf("the person is %s, %v", got.Standing, err)
	}
	b.audit.fail(nil)
	q = w.begin("/invitation/" + secret + "/begin")
	if a := w.finish("/invitation/"+secret+"/finish", q, d.create(t, q)); a.status != http.StatusOK {
		t.Errorf("when the log is back: %d", a.status)
	}
}

// TestConfirmRefuses: what confirms one person confirms no other.
func TestConfirmRefuses(t *testing.T) {
	b := newBed(t)
	w, d := b.enrolled("north", staff.Clerk)
	other, otherDevice := b.enrolled("north", staff.Clerk)
	b.later(6 * time.Minute)
	q := w.begin("/confirm/begin")
	if a := w.finish("/confirm/finish", q, otherDevice.get(t, q)); a.status != http.StatusUnauthorized {
		t.Errorf("the passkey of somebody else: %d", a.status)
	}
	for name, spoil := range map[string]func(*device){
		"WA-01 another origin": func(d *device) { d.rp.Origin = "http://other.localhost" }, "WA-02 another relying party": func(d *device) { d.rp.ID = "other.localhost" },
		"WA-04 nobody was verified": func(d *device) { d.auth.Options.UserNotVerified = true }, "WA-04 nobody was present": func(d *device) { d.auth.Options.UserNotPresent = true },
	} {
		q, spoiled := w.begin("/confirm/begin"), *d
		spoil(&spoiled)
		if a := w.finish("/confirm/finish", q, spoiled.get(t, q)); a.status != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, a.status)
		}
	}
	q = other.begin("/confirm/begin")
	if a := w.finish("/confirm/finish", q, d.get(t, q)); a.status != http.StatusUnauthorized {
		t.Errorf("the question to somebody else: %d", a.status)
	}
	q = w.begin("/sign-in/begin")
	if a := w.finish("/confirm/finish", q, d.get(t, q)); a.status != http.StatusUnauthorized {
		t.Errorf("the question of a sign-in: %d", a.status)
	}
	if a := b.visitor().json("/confirm/begin", map[string]string{}); a.status != http.StatusUnauthorized {
		t.Errorf("nobody: %d", a.status)
	}
	if a := w.post("/account/passkeys/remove", "id", "AAAA"); a.status != http.StatusUnauthorized || !strings.Contains(a.body, `value="AAAA"`) {
		t.Errorf("after all that the session is fresh, or what was typed is lost: %d", a.status)
	}
}
