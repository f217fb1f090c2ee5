package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/fetch"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/oid4vci"
	"github.com/sanad-id/sanad/wallet"
)

// TestFetchGoesOn: one office that cannot answer keeps the credentials of no other from
// being asked for, and each problem is told.
func TestFetchGoesOn(t *testing.T) {
	var asked []string
	office := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, which, _ := strings.Cut(r.URL.Path, oid4vci.IssuerWellKnown+"/")
		asked = append(asked, which)
		if which == "busy" {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		http.NotFound(w, r)
	}))
	defer office.Close()
	dir, pass := filepath.Join(t.TempDir(), "w"), filepath.Join(t.TempDir(), "pass")
	const passphrase = "correct horse battery"
	if err := cheapWallet(dir, passphrase); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(pass, []byte(passphrase), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := wallet.Open(dir, []byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	for id, which := range map[string]string{"0000000000000001": "busy", "0000000000000002": "gone"} {
		key, _, err := wallet.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		one := wallet.Pending{Held: wallet.Held{ID: id, Issuer: office.URL + "/" + which, Type: "urn:xa:" + which, Accepted: cardIssued, Copies: []wallet.Copy{{Key: key}}}, Token: "t", Session: key}
		if err := w.PutPending(one); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	status := run(t.Context(), []string{"fetch", "--dir", dir, "--passphrase-file", pass, "--dev-http", "--allow-unknown", "--json", "--lang", "en"}, strings.NewReader(""), &out, &errs)
	if status != statusRefused || strings.Join(asked, " ") != "busy gone" {
		t.Errorf("status %d after asking %v:\n%s", status, asked, errs.String())
	}
	var got struct {
		Accepted []any
		Pending  int
		Problems []struct{ ID, Error, Refused string }
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v in %s", err, out.String())
	}
	if got.Pending != 2 || len(got.Accepted) != 0 || len(got.Problems) != 2 || !strings.Contains(got.Problems[0].Error, "status 429") ||
		got.Problems[1].ID != "0000000000000002" || got.Problems[1].Refused != string(wallet.BadMessage) {
		t.Errorf("%s", out.String())
	}
	english := i18n.For("en")
	for _, want := range []string{"urn:xa:busy", "status 429", english.Text("wallet.advice.come_again", nil), "urn:xa:gone", english.Text("wallet.refused.bad_message", nil)} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, errs.String())
		}
	}
}

// TestDocumentsAreKept: what an office says to everybody is asked for once while several
// credentials are fetched, and nothing else is kept.
func TestDocumentsAreKept(t *testing.T) {
	asked := 0
	office := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Type", oid4vci.JSONType)
	}))
	defer office.Close()
	way := network{(&program{devHTTP: true}).client(), time.Now}
	for _, tt := range []struct {
		r    wallet.Request
		want int
	}{
		{wallet.Request{Accept: oid4vci.JSONType, Document: true}, 1},
		{wallet.Request{Accept: oid4vci.JSONType}, 2},
		{wallet.Request{Accept: oid4vci.JSONType, Document: true, Header: map[string]string{"Authorization": "DPoP t"}}, 2},
		{wallet.Request{Accept: oid4vci.JSONType, Document: true, Type: oid4vci.FormType}, 2},
	} {
		tt.r.Address, asked = office.URL, 0
		for range 2 {
			if a, err := way.Send(t.Context(), tt.r); err != nil || a.Status != http.StatusOK {
				t.Errorf("%+v: %d, %v", tt.r, a.Status, err)
			}
		}
		if asked != tt.want {
			t.Errorf("%+v: asked %d times, want %d", tt.r, asked, tt.want)
		}
	}
}

// ownList is an unsigned token of a status list with claims of its own and this many bytes.
func ownList(claims string, size int) string {
	claims = fmt.Sprintf(`{%s,"status_list":{"bits":1,"lst":"%s"}}`, claims, strings.Repeat("A", size*3/4))
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

// TestStatusListsAreKept: a list of any size that it may have is asked for again when its token
// says so, whatever the server says of caching (Token Status List section 8.2).
func TestStatusListsAreKept(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	asked, claims, size := 0, "", 0
	office := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Type", status.MediaTypeJWT)
		_, _ = io.WriteString(w, ownList(claims, size))
	}))
	defer office.Close()
	for _, tt := range []struct {
		name, claims string
		size         int
		after        time.Duration
		want         int
	}{
		{"small, within its ttl", `"ttl":60`, 0, 59 * time.Second, 1},
		{"3 MiB, within its ttl", `"ttl":60`, 3 << 20, 59 * time.Second, 1},
		{"3 MiB, after it", `"ttl":60`, 3 << 20, time.Minute, 2},
		{"a ttl of a day, within five minutes", `"ttl":86400`, 0, 5*time.Minute - time.Second, 1},
		{"a ttl of a day, after five minutes", `"ttl":86400`, 0, 5 * time.Minute, 2},
		{"it does not say", `"iat":1`, 0, time.Second, 2},
	} {
		p := &program{Program: cli.Program{Now: func() time.Time { return now }}, devHTTP: true}
		way := network{p.client(), p.Now}
		asked, claims, size = 0, tt.claims, tt.size
		for range 2 {
			a, err := way.Send(t.Context(), wallet.Request{Address: office.URL, Accept: status.MediaTypeJWT, MaxBytes: 4 << 20, Document: true, StatusList: true})
			if err != nil || a.Status != http.StatusOK || len(a.Body) < tt.size {
				t.Errorf("%s: %d, %d bytes, %v", tt.name, a.Status, len(a.Body), err)
			}
			now = now.Add(tt.after)
		}
		if asked != tt.want {
			t.Errorf("%s: asked %d times, want %d", tt.name, asked, tt.want)
		}
	}
}

// TestWaysOut: VP-07, VCI-16 and ST-07 of the corpus. Redirects lead to status lists alone, at most
// three of them and none inside, and nothing is asked of what is inside.
func TestWaysOut(t *testing.T) {
	var inside []string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inside = append(inside, r.URL.Path)
		w.Header().Set("Content-Type", status.MediaTypeJWT)
	}))
	defer other.Close()
	mux := http.NewServeMux()
	for from, to := range map[string]string{
		"/1": "/2", "/2": "/3", "/3": other.URL + "/list", "/0": "/1", "/loop": "/loop", "/inside": "https://10.0.0.1/list", "/named": "https://localhost/list",
		"/clouds": "http://169.254.169.254/latest", "/file": "file:///etc/passwd", "/user": "http://a@" + other.Listener.Addr().String() + "/list",
	} {
		mux.Handle(from, http.RedirectHandler(to, http.StatusFound))
	}
	office := httptest.NewServer(mux)
	defer office.Close()
	list := wallet.Request{Accept: status.MediaTypeJWT, Document: true, StatusList: true}
	document := wallet.Request{Accept: oid4vci.JSONType, Document: true}
	post := wallet.Request{Type: oid4vci.FormType, Body: []byte("vp_token=secret")}
	for _, tt := range []struct {
		name, path string
		r          wallet.Request
		dev        bool
		status     int
		want       error
		asked      int
	}{
		{"three, and elsewhere", "/1", list, true, 200, nil, 1},
		{"ST-07 four", "/0", list, true, 302, nil, 0},
		{"ST-07 without end", "/loop", list, true, 302, nil, 0},
		{"ST-07 inside", "/inside", list, true, 0, fetch.ErrForbidden, 0},
		{"ST-07 where clouds keep secrets", "/clouds", list, true, 0, fetch.ErrRedirect, 0},
		{"ST-07 a file", "/file", list, true, 0, fetch.ErrRedirect, 0},
		{"ST-07 with a user", "/user", list, true, 0, fetch.ErrRedirect, 0},
		{"a document that has moved", "/3", document, true, 302, nil, 0},
		{"VP-07 an answer that would go elsewhere", "/3", post, true, 302, nil, 0},
		{"VCI-16 this machine", "", document, false, 0, fetch.ErrURL, 0},
		{"ST-07 this machine", "", list, false, 0, fetch.ErrURL, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inside = nil
			p := &program{Program: cli.Program{Now: time.Now}, devHTTP: tt.dev}
			tt.r.Address, tt.r.MaxBytes = office.URL+tt.path, 1000
			a, err := network{p.client(), p.Now}.Send(t.Context(), tt.r)
			if !errors.Is(err, tt.want) || a.Status != tt.status || len(inside) != tt.asked {
				t.Errorf("%d, %v, asked %v; want %d, %v, %d", a.Status, err, inside, tt.status, tt.want, tt.asked)
			}
		})
	}
	p := &program{Program: cli.Program{Now: time.Now}}
	for _, address := range []string{"https://10.0.0.1/", "https://[::1]/", "https://localhost/", "https://169.254.169.254/latest"} {
		for _, r := range []wallet.Request{list, document, post} {
			r.Address = address
			if a, err := (network{p.client(), p.Now}).Send(t.Context(), r); !errors.Is(err, fetch.ErrForbidden) {
				t.Errorf("VCI-16 %s: %d, %v, want ErrForbidden", address, a.Status, err)
			}
		}
	}
}
