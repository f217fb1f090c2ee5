package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/keys"
)

// newSigner makes a key that signs for this purpose.
func newSigner(purpose keys.Purpose, now time.Time) (keys.Signer, *ecdsa.PrivateKey) {
	private := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	return must(keys.NewSigner(keys.Key{
		Public: must(keys.PublicKeyOf(&private.PublicKey)), Purpose: purpose, State: keys.Active, Created: now, Published: now,
		SignFrom: now.AddDate(-1, 0, 0), SignUntil: now.AddDate(1, 0, 0),
	}, private)), private
}

const (
	vct      = "urn:xa:farmer:1"
	audience = "x509_hash:Uvo3HtuIxuhC92rShpgqcT3YXwrqRxWEviRiA0OZszk"
	nonce    = "n-0S6_WzA2Mjpf8SPTr7qA"
	listURI  = "https://status.agri.gov.example/1"
)

// farmer is a wallet credential of ten claims that can be left out.
func farmer(at time.Time, holder keys.PublicKey) sdjwt.Token {
	h := func(v any) any { return sdjwt.Hidden{Value: v} }
	return sdjwt.Token{
		Issuer: "https://agri.gov.example", Type: vct, IssuedAt: at, Expires: at.AddDate(3, 0, 0), Holder: &holder,
		Status: &credential.StatusRef{URI: listURI, Index: 77},
		Claims: map[string]any{
			"given_name": h("Juma"), "family_name": h("Mwangi Kamau"), "birthdate": h("1984-04-18"), "farmer_id": h("F-1234567"),
			"crop": h("Maize"), "farm_size": h(2.5), "county": h("Nakuru"), "ward": h("Bahati"), "organic": h(true), "registered": h("2026-11-12"),
		},
	}
}

// wallets measures one wallet credential, alone and beside another implementation.
func wallets(rounds int) []row {
	now := time.Now().UTC().Truncate(time.Second)
	signer, private := newSigner(keys.Credential, now)
	holder, _ := newSigner(keys.Holder, now)
	public := signer.Key().Public
	token := farmer(now, holder.Key().Public)
	issue := func() string {
		draft := must(sdjwt.NewDraft(nil, token, public))
		return must(draft.Sign(rand.Reader, signer, now))
	}
	// Each holder's key is seen a few times only, as by a verifier: no table is made of it.
	shown := make([]string, 512)
	for i := range shown {
		holder, _ := newSigner(keys.Holder, now)
		draft := must(sdjwt.NewDraft(nil, farmer(now, holder.Key().Public), public))
		shown[i] = must(sdjwt.Bind(rand.Reader, must(draft.Sign(rand.Reader, signer, now)), sdjwt.Proof{Audience: audience, Nonce: nonce, IssuedAt: now}, holder))
	}
	want := sdjwt.Expect{Keys: pinned{public}, Now: now, Binding: sdjwt.BindingRequired, Audience: audience, Nonce: nonce, MaxAge: time.Minute}
	next := 0
	verify := func() { next++; must(sdjwt.Verify(shown[next%len(shown)], want)) }
	digest := sha256.Sum256([]byte(shown[0]))
	signature := must(ecdsa.SignASN1(rand.Reader, private, digest[:]))

	p1 := row{id: "P1", measure: "SD-JWT VC, issue, 10 claims", subject: "draft+sign", baseline: "raw ES256 sign", floor: 0.73, goal: 0.82, format: "%.2f"}
	p1.value, p1.low, p1.high = ratio(rounds, func() { issue() }, func() { must(ecdsa.SignASN1(rand.Reader, private, digest[:])) })
	p2 := row{id: "P2", measure: "SD-JWT VC, verify, key binding", subject: "verify", baseline: "raw ES256 verify", floor: 0.38, goal: 0.45, format: "%.2f"}
	p2.value, p2.low, p2.high = ratio(rounds, verify, func() {
		if !ecdsa.VerifyASN1(&private.PublicKey, digest[:], signature) {
			panic("bench: internal error: own signature does not verify")
		}
	})
	p17 := row{id: "P17", measure: "allocations, SD-JWT VC", subject: "verify", baseline: "-", floor: 200, goal: 60, lower: true, format: "%.0f"}
	rows := []row{p1, p2}
	others, err := beside(rounds, now, token, func() { issue() }, verify)
	if err != nil {
		fmt.Printf("P8: left out, %v\n\n", err)
	}
	return append(append(rows, others...), p17.once(testing.AllocsPerRun(200, verify)))
}

// beside runs the same work in @sd-jwt/sd-jwt-vc, in a process of node that has
// warmed up, in turn with ours.
func beside(rounds int, now time.Time, token sdjwt.Token, issue, verify func()) ([]row, error) {
	p, err := startPeer()
	if err != nil {
		return nil, err
	}
	defer p.end()
	claims, hidden := map[string]any{
		"iss": token.Issuer, "vct": token.Type, "iat": token.IssuedAt.Unix(), "exp": token.Expires.Unix(),
		"status": map[string]any{"status_list": map[string]any{"idx": token.Status.Index, "uri": token.Status.URI}},
		"cnf":    map[string]any{"jwk": json.RawMessage(token.Holder.BareJWK())},
	}, []string{}
	for name, v := range token.Claims {
		claims[name] = v.(sdjwt.Hidden).Value
		hidden = append(hidden, name)
	}
	slices.Sort(hidden)
	begin := map[string]any{"payload": claims, "frame": map[string]any{"_sd": hidden}, "kb": map[string]any{"iat": now.Unix(), "aud": audience, "nonce": nonce}}
	if _, err := p.call("begin", begin); err != nil {
		return nil, err
	}
	var rows []row
	for _, m := range []struct {
		call        string
		ours        func()
		floor, goal float64
	}{{"issue", issue, 6, 10}, {"verify", verify, 4, 6}} {
		theirs, n := 50, calls(m.ours)
		if _, err := p.call(m.call, map[string]any{"times": 500}); err != nil { // until the compiler has seen it
			return nil, err
		}
		values := make([]float64, rounds)
		for i := range values {
			took, err := p.call(m.call, map[string]any{"times": theirs})
			if err != nil {
				return nil, err
			}
			began := time.Now() // and not the processor's, since theirs is the clock's, too
			for range n {
				m.ours()
			}
			values[i] = took * float64(n) / float64(time.Since(began))
		}
		slices.Sort(values)
		rows = append(rows, row{
			id: "P8", measure: "SD-JWT VC, " + m.call, subject: "Sanad", baseline: "@sd-jwt/sd-jwt-vc on node", floor: m.floor, goal: m.goal, format: "%.1fx",
			value: values[rounds/2], low: values[rounds/4], high: values[rounds*3/4],
		})
	}
	return rows, nil
}

// A peer is somebody else's implementation in a process of its own; see
// interop/peer.mjs.
type peer struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startPeer() (*peer, error) {
	if _, err := os.Stat("interop/node_modules/.package-lock.json"); err != nil {
		return nil, errors.New("no npm packages in interop/ (scripts/setup-test.sh)")
	}
	p := &peer{cmd: exec.Command("node", "peer.mjs", "./bench.mjs")}
	p.cmd.Dir, p.cmd.Stderr = "interop", os.Stderr
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	return p, p.cmd.Start()
}

// call has the peer do something and returns the nanoseconds of one time.
func (p *peer) call(name string, args map[string]any) (float64, error) {
	if err := json.NewEncoder(p.in).Encode(map[string]any{"call": name, "args": args}); err != nil {
		return 0, err
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return 0, err
	}
	var answer struct {
		Result float64
		Error  string
	}
	if err := json.Unmarshal(line, &answer); err != nil {
		return 0, err
	}
	if answer.Error != "" {
		return 0, fmt.Errorf("%s: %s", name, answer.Error)
	}
	return answer.Result, nil
}

// end lets the peer end at the end of its input.
func (p *peer) end() {
	_ = p.in.Close()
	_ = p.cmd.Wait()
}
