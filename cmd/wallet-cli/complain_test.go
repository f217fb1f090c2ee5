package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/oid4vp"
)

// TestComplain: a verifier is told why its request is refused if the person agrees, in a
// script on the conditions of presenting (OpenID4VP 1.0 sections 5.1 and 8.5).
func TestComplain(t *testing.T) {
	dir := t.TempDir()
	pass := filepath.Join(dir, "pass")
	if err := os.WriteFile(pass, []byte("correct horse battery"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := cheapWallet(filepath.Join(dir, "w"), "correct horse battery"); err != nil {
		t.Fatal(err)
	}
	var object string
	var heard []url.Values
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Type", oid4vp.RequestMediaType)
			_, _ = w.Write([]byte(object))
			return
		}
		_ = r.ParseForm()
		heard = append(heard, r.PostForm)
		w.Header().Set("Content-Type", oid4vp.ReplyMediaType)
		_, _ = w.Write(oid4vp.Reply{RedirectURI: "https://shop.example/sorry"}.JSON())
	}))
	defer server.Close()
	at := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	signer := keystest.Signer(t, keys.Request, keys.ES256, "shop")
	leaf := strangeLeaf(t, signer.Key().Public)
	answers, err := jose.NewDecryptionKey("1")
	if err != nil {
		t.Fatal(err)
	}
	data, err := oid4vp.NewTransactionData("urn:payment", []string{"card"}, map[string]any{"amount": "1"})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Truncate(time.Second)
	request := oid4vp.Request{
		Client: oid4vp.Client{ID: oid4vp.NewX509Hash(leaf)}, ResponseMode: oid4vp.DirectPostJWT, ResponseURI: at + "/response",
		Nonce: strings.Repeat("n", 43), State: strings.Repeat("s", 43), IssuedAt: now, Expires: now.Add(time.Minute), TransactionData: []oid4vp.TransactionData{data},
		Query: &oid4vp.Query{Credentials: []oid4vp.CredentialQuery{{
			ID: "card", Format: credential.FormatSDJWT, Types: []string{"urn:card"}, Claims: []oid4vp.ClaimQuery{{Path: sdjwt.Path{"name"}}},
		}}},
		Metadata: &oid4vp.ClientMetadata{Keys: []jose.EncryptionKey{answers.Public()}, Encryptions: oid4vp.AllEncryptions(), Formats: oid4vp.SDJWTFormat()},
	}
	if object, err = request.Sign(rand.Reader, oid4vp.Signature{Signer: signer, X5C: [][]byte{leaf}}); err != nil {
		t.Fatal(err)
	}
	link := (&oid4vp.Invocation{ClientID: request.Client.ID, RequestURI: at + "/request"}).URL(oid4vp.Scheme)
	for _, tt := range []struct {
		name string
		args []string
		told bool
	}{
		{"nobody to ask", nil, false},
		{"in a script, somebody unknown", []string{"--yes"}, false},
		{"in a script, somebody unknown on purpose", []string{"--yes", "--allow-unknown"}, true},
	} {
		heard = nil
		var out, said bytes.Buffer
		args := append([]string{"--dir", filepath.Join(dir, "w"), "--passphrase-file", pass, "--dev-http", "--json", "--lang", "en", "present", link}, tt.args...)
		if got := runAt(t.Context(), time.Now, args, strings.NewReader(""), &out, &said); got != statusRefused || !strings.Contains(out.String(), `"refused": "bad_message"`) {
			t.Errorf("%s: exit %d\n%s%s", tt.name, got, &out, &said)
		}
		if told := len(heard) == 1 && heard[0].Get("error") == "invalid_transaction_data" && heard[0].Get("state") == request.State; told != tt.told || !told && len(heard) > 0 {
			t.Errorf("%s: the verifier heard %v", tt.name, heard)
		}
		if goesOn := strings.Contains(said.String(), "Go on at https://shop.example/sorry"); goesOn != tt.told {
			t.Errorf("%s: said\n%s", tt.name, &said)
		}
	}
}

// strangeLeaf is a certificate for localhost by an authority that nobody knows.
func strangeLeaf(t *testing.T, key keys.PublicKey) []byte {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent := &x509.Certificate{Subject: pkix.Name{CommonName: "root"}, SubjectKeyId: []byte("root")}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "shop"}, DNSNames: []string{"localhost"}, KeyUsage: x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, parent, key.Crypto(), private)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
