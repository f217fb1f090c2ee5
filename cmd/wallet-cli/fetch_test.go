package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	way := network{(&program{devHTTP: true}).client()}
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
