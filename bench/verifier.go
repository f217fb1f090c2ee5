package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"path/filepath"
	"time"

	"github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/oid4vp"
	"github.com/sanad-id/sanad/store/once"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/verification"
)

// gatePolicy asks for two claims of ten; %s is a line that allows answers in the clear.
const gatePolicy = `
policy: %s
version: 1
verifier: {name: {en: City library}}
purpose: {en: To lend you books.}
retention_days: 0
%s
ask:
  - id: farmer
    types: ["urn:xa:farmer:1"]
    claims: [given_name, {path: [crop], values: [Maize, Rice]}]
`

const apiKey = "a key of the city library, 0123456789abcdef"

// gate is a verifier that serves on this machine, and a wallet at it.
type gate struct {
	url    string
	client *http.Client
	issuer keys.Signer
	expect oid4vp.Expect
}

// verifying measures P13: answers of wallets to requests of their own, checked against
// the query, the trust bundle, the status list in it and what was answered before; with
// requests and results in a file, and in the memory of the server.
func verifying(dir string, rounds int) ([]row, error) {
	var rows []row
	for _, kept := range []struct{ name, location string }{{"SQLite", filepath.Join(dir, "once.db")}, {"memory", once.Memory}} {
		more, err := verifyingOn(kept.location, kept.name, rounds)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

func verifyingOn(location, name string, rounds int) ([]row, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	g, stop, err := openGate(location, addr)
	if err != nil {
		return nil, err
	}
	defer stop()
	var rows []row
	for _, m := range []struct{ policy, measure string }{{"open", "OpenID4VP direct_post, " + name}, {"card", "OpenID4VP direct_post.jwt, " + name}} {
		r, err := load{
			prepare: func(n int) ([]*posting, error) {
				all := make([]*posting, n)
				return all, parallel(atOnce, n, func(i int) (err error) { all[i], err = g.answer(m.policy); return err })
			},
			verifies: 2,
			row:      row{id: "P13", measure: m.measure, subject: "answers", baseline: "HTTP + 2 verify", floor: 0.45, goal: 0.65, format: "%.2f"},
		}.run(g.client, rounds)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// cose is credential/cwt as programs wire it.
type cose struct{}

// Verify implements verification.COSE.
func (cose) Verify(message []byte, keys verification.IssuerKeys) (*credential.Verified, error) {
	return cwt.Verify(message, cwt.Expect{Keys: keys})
}

// nobody takes no webhooks.
type nobody struct{}

// Post implements verifier.Poster.
func (nobody) Post(context.Context, string, string, []byte) (int, error) {
	return 0, errors.New("nobody there")
}

func openGate(location, addr string) (_ *gate, stop func(), err error) {
	now := time.Now().UTC().Truncate(time.Second)
	g := &gate{url: "http://" + addr, client: newClient()}
	g.issuer, _ = newSigner(keys.Credential, now)
	file, err := bundleOf(g.issuer, now)
	if err != nil {
		return nil, nil, err
	}
	bundle, err := trust.Open(file)
	if err != nil {
		return nil, nil, err
	}
	request, _ := newSigner(keys.Request, now)
	leaf, err := leafOf(request.Key().Public, now)
	if err != nil {
		return nil, nil, err
	}
	signature := oid4vp.Signature{Signer: request, X5C: [][]byte{leaf}}
	g.expect = oid4vp.Expect{Chains: vouched{string(leaf): {Key: request.Key().Public, Subject: "City library", Anchor: "root", Hosts: []string{"127.0.0.1"}}}, DevHTTP: true, Plain: true}
	policies := map[string]*verifier.Policy{}
	for id, line := range map[string]string{"open": "plain_response: true", "card": ""} {
		if policies[id], err = verifier.ParsePolicy(fmt.Appendf(nil, gatePolicy, id, line)); err != nil {
			return nil, nil, err
		}
	}
	values, err := once.Open(context.Background(), location, once.Options{})
	if err != nil {
		return nil, nil, err
	}
	service, err := verifier.New(verifier.Config{
		URL: g.url, Prefix: oid4vp.X509Hash, Signature: func(time.Time) (oid4vp.Signature, error) { return signature, nil },
		Policies: policies, Once: values, COSE: cose{}, Keys: []verifier.APIKey{{Name: "library", Digest: sha256.Sum256([]byte(apiKey))}}, Poster: nobody{},
		Metrics: web.NewMetrics(), Log: slog.New(slog.NewJSONHandler(io.Discard, nil)), Trust: func() (*trust.Bundle, string) { return bundle, "" },
	})
	if err != nil {
		return nil, nil, err
	}
	end, err := serve(addr, service.Routes())
	return g, func() { end(); _ = values.Close() }, err
}

// bundleOf is the file of a trust bundle of one issuer, one type and the list of status.
func bundleOf(issuer keys.Signer, now time.Time) ([]byte, error) {
	root, _ := newSigner(keys.TrustRoot, now)
	bundleKey, _ := newSigner(keys.TrustBundle, now)
	roots, err := trust.SignRoot(rand.Reader, nil, trust.Root{
		Version: 1, Issued: now.AddDate(-1, 0, 0), Expires: now.AddDate(8, 0, 0), Keys: []keys.PublicKey{root.Key().Public}, Threshold: 1,
		BundleKeys: []keys.PublicKey{bundleKey.Key().Public}, BundleThreshold: 1,
	}, []keys.Signer{root}, now)
	if err != nil {
		return nil, err
	}
	english := func(s string) map[string]string { return map[string]string{"en": s} }
	bits, err := status.NewList(2, 1<<20)
	if err != nil {
		return nil, err
	}
	for i := range uint64(1 << 20 / 100) {
		if err := bits.Set(100*i+3, status.Invalid); err != nil {
			return nil, err
		}
	}
	snapshot, err := status.NewSnapshot(listURI, bits, now)
	if err != nil {
		return nil, err
	}
	content := trust.Content{
		Roots: roots, Version: 1, AsOf: now, RefreshBy: now.AddDate(0, 0, 10), OldAfter: now.AddDate(0, 0, 60), Jurisdiction: "XA",
		Issuers: []trust.Issuer{{ID: "https://agri.gov.example", Names: english("Ministry of Agriculture"), Country: "XA", Keys: []trust.IssuerKey{trust.NewIssuerKey(issuer.Key(), []string{vct}, nil)}}},
		Types: []credential.Type{{
			ID: vct, Labels: english("Farmer card"), FreshFor: 7 * 24 * time.Hour, OldAfter: 30 * 24 * time.Hour, StatusRequired: true, Policy: "farmer-card/1",
		}},
		Algorithms: []keys.Algorithm{keys.ES256}, Status: []status.Snapshot{snapshot},
	}
	return content.Sign(rand.Reader, []keys.Signer{bundleKey}, now)
}

// leafOf is a certificate for a key by an authority that nobody asks about.
func leafOf(key keys.PublicKey, now time.Time) ([]byte, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	parent := &x509.Certificate{Subject: pkix.Name{CommonName: "root"}, SubjectKeyId: []byte("root")}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "library"}, NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0)}
	return x509.CreateCertificate(rand.Reader, leaf, parent, key.Crypto(), private)
}

// vouched are chains that are good, by the bytes of their leaf.
type vouched map[string]oid4vp.Vouched

// Leaf implements oid4vp.Chains.
func (v vouched) Leaf(_ context.Context, x5c [][]byte, _ time.Time) (oid4vp.Vouched, error) {
	if found, ok := v[string(x5c[0])]; ok {
		return found, nil
	}
	return oid4vp.Vouched{}, errors.New("no such chain")
}

// issue makes the credential of a wallet.
func (g *gate) issue(holder keys.PublicKey) (string, error) {
	now := time.Now().UTC().Truncate(time.Second)
	draft, err := sdjwt.NewDraft(nil, farmer(now.Add(-time.Hour), holder), g.issuer.Key().Public)
	if err != nil {
		return "", err
	}
	return draft.Sign(rand.Reader, g.issuer, now)
}

// answer makes a request and the wallet's answer to it, which is not sent.
func (g *gate) answer(policy string) (*posting, error) {
	body, err := json.Marshal(map[string]string{"policy": policy})
	if err != nil {
		return nil, err
	}
	ask := &posting{g.url + "/requests", http.Header{"Content-Type": {web.MediaJSON}, "Authorization": {"Bearer " + apiKey}}, body}
	b, _, err := ask.send(g.client)
	if err != nil {
		return nil, err
	}
	var created verifier.Created
	if err := json.Unmarshal(b, &created); err != nil {
		return nil, err
	}
	i, err := oid4vp.ParseInvocation(created.Link)
	if err != nil {
		return nil, err
	}
	want := g.expect
	want.Now, want.WalletNonce = time.Now(), "wallet nonce"
	form, err := i.Form(nil, want.WalletNonce)
	if err != nil {
		return nil, err
	}
	fetch := &posting{i.RequestURI, http.Header{"Content-Type": {web.MediaForm}}, []byte(form.Encode())}
	if b, _, err = fetch.send(g.client); err != nil {
		return nil, err
	}
	r, err := i.Open(context.Background(), string(bytes.TrimSpace(b)), want)
	if err != nil {
		return nil, err
	}
	return g.respond(r)
}

// respond makes the answer of a wallet that nobody has seen before.
func (g *gate) respond(r *oid4vp.Request) (*posting, error) {
	holder, _ := newSigner(keys.Holder, time.Now().Add(-time.Minute))
	issued, err := g.issue(holder.Key().Public)
	if err != nil {
		return nil, err
	}
	parsed, err := sdjwt.Parse(issued)
	if err != nil {
		return nil, err
	}
	held, err := oid4vp.HeldSDJWT(parsed)
	if err != nil {
		return nil, err
	}
	choices, err := r.Query.Match([]oid4vp.Credential{held}).Default()
	if err != nil {
		return nil, err
	}
	data, err := r.Authorise(choices)
	if err != nil {
		return nil, err
	}
	token := oid4vp.VPToken{}
	for i, c := range choices {
		text, err := sdjwt.Present(issued, c.Disclose()...)
		if err != nil {
			return nil, err
		}
		if text, err = sdjwt.Bind(rand.Reader, text, r.Proof(time.Now(), data[i]), holder); err != nil {
			return nil, err
		}
		token[c.Query] = append(token[c.Query], text)
	}
	form, err := r.Respond(token)
	if err != nil {
		return nil, err
	}
	return &posting{r.ResponseURI, http.Header{"Content-Type": {web.MediaForm}}, []byte(form.Encode())}, nil
}
