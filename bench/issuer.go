package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"github.com/sanad-id/sanad/api/issuer"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/oid4vci"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/store"
	"github.com/sanad-id/sanad/store/once"
)

// licence is a programme of ten claims with a form for wallets.
const licence = `
id: licence
version: 1
type: urn:xa:licence:1
labels: {en: Licence}
languages: [en]
records: {id_column: id}
validity: {for: 5y}
status: {suspend: true}
freshness: {fresh_for: 7d, old_after: 30d}
person_check: other_id
photo: {policy: none}
claims:
  - {name: full_name, labels: {en: Name}, type: text, person: fullName, from: c0, required: true}
  - {name: village, labels: {en: Village}, type: text, key: 1, from: c1}
  - {name: district, labels: {en: District}, type: text, key: 2, from: c2}
  - {name: crop, labels: {en: Crop}, type: text, key: 3, from: c3}
  - {name: mother, labels: {en: Mother}, type: text, key: 4, from: c4}
  - {name: father, labels: {en: Father}, type: text, key: 5, from: c5}
  - {name: number, labels: {en: Number}, type: text, key: 6, from: c6}
  - {name: office, labels: {en: Office}, type: text, key: 7, from: c7}
  - {name: land, labels: {en: Land}, type: text, key: 8, from: c8}
  - {name: note, labels: {en: Note}, type: text, key: 9, from: c9}
forms:
  wallet: {kind: sd-jwt, copies: 8}
`

// counter is the issuer behind the endpoints, with a registry in memory.
type counter struct {
	*issuance.Service
	db      *store.DB
	columns *registry.Columns
}

// MayAct implements issuer.Office.
func (c *counter) MayAct(context.Context) error { return nil }

// Epoch implements issuer.Office.
func (c *counter) Epoch(context.Context) (int64, error) { return c.db.Epoch(), nil }

// Record implements issuer.Office.
func (c *counter) Record(_ context.Context, _, id string) (registry.Record, error) {
	return registry.NewRecord(id, 0, c.columns, []string{
		id, "Rahima Khatun Chowdhury", "Jessore Sadar", "Jessore", "Maize", "Fatema Begum", "Abdul Karim", "B-07-2019", "XA-07", "2.5", "none",
	}), nil
}

// wicket is an issuer that serves on this machine, and the wallets at it.
type wicket struct {
	url     string
	issuer  *issuer.Endpoints
	client  *http.Client
	records int // that somebody has fetched
}

// issuing measures P12: credential requests of wallets with DPoP, of which each has a
// key proof and brings one credential, durably recorded before it is handed out.
func issuing(dir string, rounds int) ([]row, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	w, stop, err := openWicket(dir, addr)
	if err != nil {
		return nil, err
	}
	defer stop()
	l := load{prepare: w.requests, signs: 1, verifies: 1, row: row{
		id: "P12", measure: "OpenID4VCI credential, SQLite", subject: "requests", baseline: "HTTP + verify + sign", floor: 0.40, goal: 0.60, format: "%.2f",
	}}
	named, err := l.run(w.client, rounds)
	if err != nil {
		return nil, err
	}
	// What nobody can leave out: the proof of the token's holder, that of the new key, and
	// the issuer's own look at what it has signed.
	l.verifies, l.baseline, l.goal = 3, "HTTP + 3 verify + sign", 0.75
	whole, err := l.run(w.client, rounds)
	return []row{named, whole}, err
}

func openWicket(dir, addr string) (_ *wicket, stop func(), err error) {
	ctx := context.Background()
	w := &wicket{url: "http://" + addr, client: newClient()}
	cost := keys.Cost{Time: 1, Memory: 8, Threads: 1}
	file, err := cost.CreateFile(filepath.Join(dir, "keystore.sanad"), []byte("a passphrase for measuring"), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	db, err := store.Create(ctx, filepath.Join(dir, "issuer.db"), store.Options{Instance: "xa-office bench"})
	if err != nil {
		return nil, nil, err
	}
	values, err := once.Open(ctx, filepath.Join(dir, "once.db"), once.Options{})
	if err != nil {
		return nil, nil, err
	}
	service, err := issuance.New(issuance.Config{Issuer: "xa-office", URL: w.url, StatusBase: w.url + "/status/", Store: db, Keys: file, Secret: file.Secret})
	if err != nil {
		return nil, nil, err
	}
	for _, p := range []keys.Purpose{keys.Audit, keys.StatusList, keys.Credential} {
		if _, err := service.FirstKey(ctx, keys.Spec{Purpose: p}, "bench"); err != nil {
			return nil, nil, err
		}
	}
	if _, err := service.AddProgramme(ctx, []byte(licence), "bench"); err != nil {
		return nil, nil, err
	}
	names := []string{"id"}
	for i := range 10 {
		names = append(names, fmt.Sprint("c", i))
	}
	columns, err := registry.NewColumns(names)
	if err != nil {
		return nil, nil, err
	}
	w.issuer, err = issuer.New(issuer.Config{
		Issuer: w.url, Names: map[string]string{"en": "Office of Licences"}, DevHTTP: true, Office: &counter{service, db, columns}, Once: values,
		Secret: func() ([]byte, error) { return values.Secret(), nil },
		Keys:   func(context.Context) (map[string]issuer.Document, error) { return nil, nil },
	})
	if err != nil {
		return nil, nil, err
	}
	end, err := serve(addr, w.issuer.Routes())
	return w, func() { end(); _, _ = values.Close(), db.Close() }, err
}

// requests brings n wallets to where they ask for their credential.
func (w *wicket) requests(n int) ([]*posting, error) {
	all, first := make([]*posting, n), w.records
	w.records += n
	return all, parallel(atOnce, n, func(i int) (err error) {
		all[i], err = w.request(fmt.Sprintf("REC%07d", first+i))
		return err
	})
}

// request brings a wallet to where it asks for its credential. It has keys of its own,
// which nobody has seen before.
func (w *wicket) request(record string) (*posting, error) {
	dpop, _ := newSigner(keys.Holder, time.Now().Add(-time.Minute))
	holder, _ := newSigner(keys.Holder, time.Now().Add(-time.Minute))
	made, err := w.issuer.Offer(context.Background(), issuer.OfferRequest{Programme: "licence", Record: record, Actor: "bench"})
	if err != nil {
		return nil, err
	}
	reader := oid4vci.Reader{LoopbackHTTP: true}
	link, err := reader.OfferLink(made.Link)
	if err != nil {
		return nil, err
	}
	offer, err := w.offer(reader, link.URI)
	if err != nil {
		return nil, err
	}
	nonces := &posting{url: w.url + "/oid4vci/nonce", header: http.Header{}}
	b, header, err := nonces.send(w.client)
	if err != nil {
		return nil, err
	}
	dpopNonce := header.Get(oid4vci.DPoPNonceHeader)
	nonce, err := oid4vci.ReadNonceResponse(http.StatusOK, b)
	if err != nil {
		return nil, err
	}
	form := url.Values{"grant_type": {string(oid4vci.PreAuthorizedCode)}, "pre-authorized_code": {string(offer.PreAuthorized.Code)}}
	ask, err := proven(dpop, &posting{url: w.url + "/oauth/token", body: []byte(form.Encode()), header: http.Header{"Content-Type": {oid4vci.FormType}}}, dpopNonce, "")
	if err != nil {
		return nil, err
	}
	if b, header, err = ask.send(w.client); err != nil {
		return nil, err
	}
	token, err := oid4vci.ReadTokenResponse(http.StatusOK, b, oid4vci.DPoPToken)
	if err != nil {
		return nil, err
	}
	proof, err := oid4vci.MakeProof(rand.Reader, holder, oid4vci.ProofClaims{Issuer: w.url, Nonce: nonce, Now: time.Now()})
	if err != nil {
		return nil, err
	}
	r := oid4vci.CredentialRequest{Configuration: offer.Configurations[0], Proofs: oid4vci.Proofs{Type: oid4vci.JWTProof, Tokens: []string{proof}}}
	media, body, err := r.Encode(nil)
	if err != nil {
		return nil, err
	}
	return proven(dpop, &posting{url: w.url + "/oid4vci/credential", body: body, header: http.Header{
		"Content-Type": {media}, "Authorization": {string(oid4vci.DPoPToken) + " " + string(token.AccessToken)},
	}}, header.Get(oid4vci.DPoPNonceHeader), token.AccessToken)
}

// offer fetches what an offer's link refers to.
func (w *wicket) offer(reader oid4vci.Reader, uri string) (*oid4vci.Offer, error) {
	res, err := w.client.Get(uri)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	return reader.Offer(b)
}

// proven adds a proof of the wallet's key.
func proven(key keys.Signer, p *posting, nonce string, token oid4vci.Secret) (*posting, error) {
	proof, err := oid4vci.MakeDPoP(rand.Reader, key, oid4vci.DPoPRequest{Method: http.MethodPost, URL: p.url, Now: time.Now(), Nonce: nonce, AccessToken: token})
	p.header.Set(oid4vci.DPoPHeader, proof)
	return p, err
}
