package wallet

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/oid4vci"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/verification"
)

// A CardClaim is a claim of a card: a credential that is shown as a code.
type CardClaim struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels,omitempty"`
	Value  any               `json:"value"`
	// Optional claims are shown if they are chosen.
	Optional bool `json:"optional"`

	path cwt.Path
}

// birthDate is what Claim 169 calls the date of birth, which it writes without hyphens.
const birthDate = "dateOfBirth"

// Card reports whether the credential is a card.
func (h *Held) Card() bool { return h.Format == oid4vci.CWTFormat }

// card is copy i of a card as bytes and as it reads.
func (h *Held) card(i int) ([]byte, *cwt.Parsed, error) {
	if !h.Card() {
		return nil, nil, refuse(NotACard, "a credential of the form %s", h.Format)
	}
	token, err := base64.RawURLEncoding.Strict().DecodeString(h.Copies[i].Credential)
	if err != nil {
		return nil, nil, because(NotAsIssued, err)
	}
	p, err := cwt.Parse(token)
	if err != nil {
		return nil, nil, because(NotAsIssued, err)
	}
	return token, p, nil
}

// CardClaims are the claims of copy i of a card, those of the person first.
func (h *Held) CardClaims(i int) ([]CardClaim, error) {
	_, p, err := h.card(i)
	if err != nil {
		return nil, err
	}
	var all []CardClaim
	for _, part := range []struct {
		key    int64
		claims credential.Claims
	}{{cwt.ClaimPerson, p.Person}, {cwt.ClaimFields, p.Fields}} {
		for _, c := range part.claims {
			path := cwt.Path{part.key, c.Key}
			if c.Key == 0 && c.Name != "" {
				path[1] = c.Name
			}
			name := h.ClaimNames[path.String()]
			if name == "" {
				name = c.Name
			}
			if name == "" {
				name = "field_" + strconv.FormatInt(c.Key, 10)
			}
			value := c.Value
			if s, ok := value.(string); ok && part.key == cwt.ClaimPerson && c.Name == birthDate && len(s) == len("20060102") {
				value = s[:4] + "-" + s[4:6] + "-" + s[6:] // as everywhere else
			}
			all = append(all, CardClaim{
				Name: name, Labels: h.Labels[name], Value: value, path: path,
				Optional: slices.ContainsFunc(p.Disclosures, func(d cwt.Path) bool { return len(d) >= 2 && slices.Equal(d[:2], path) }),
			})
		}
	}
	return all, nil
}

// Says is what copy i says of itself, in either form, its claims by name in Fields.
func (h *Held) Says(i int) (*credential.Verified, error) { return h.says(h.Copies[i].Credential) }

func (h *Held) says(text string) (*credential.Verified, error) {
	if !h.Card() {
		p, err := sdjwt.Parse(text)
		if err != nil {
			return nil, err
		}
		return p.Credential, p.Problem
	}
	one := Held{Format: h.Format, ClaimNames: h.ClaimNames, Copies: []Copy{{Credential: text}}}
	_, p, err := one.card(0)
	if err != nil {
		return nil, err
	}
	v := &credential.Verified{
		Format: p.Format, Type: p.Type, Issuer: p.Issuer, KeyID: p.KeyID, IssuedAt: p.IssuedAt, NotBefore: p.NotBefore, Expires: p.Expires,
		Status: p.Status, Holder: p.Holder,
	}
	claims, err := one.CardClaims(0)
	for _, c := range claims {
		v.Fields = append(v.Fields, credential.Claim{Name: c.Name, Value: c.Value})
	}
	return v, err
}

// clockSkew is how far the clocks of the wallet and of others may differ.
const clockSkew = 5 * time.Minute

// checkCards holds the cards that came against what was asked for, as check does with
// SD-JWT VCs and as SD-CWT section 7.2 asks of a holder: every digest has its
// disclosure, so that nothing is in a card that its holder cannot see.
func (a *Agent) checkCards(ctx context.Context, h Held, came []string) (*Held, error) {
	if len(came) > len(h.Copies) {
		return nil, refuse(BadMessage, "%d credentials for %d keys", len(came), len(h.Copies))
	}
	var kept []Copy
	for _, text := range came {
		one := Held{Format: h.Format, Copies: []Copy{{Credential: text}}}
		token, p, err := one.card(0)
		switch {
		case err != nil:
			return nil, err
		case p.KeyBinding != nil:
			return nil, refuse(NotAsIssued, "it comes with a proof by a holder")
		case p.Withheld > 0:
			return nil, refuse(NotAsIssued, "%d digests without what they stand for", p.Withheld)
		case p.Type != h.Type:
			return nil, refuse(OtherType, "%q", p.Type)
		}
		i := slices.IndexFunc(h.Copies, func(c Copy) bool {
			s, err := a.cfg.Keys.Signer(c.Key)
			return err == nil && p.Holder != nil && s.Key().Public.Equal(*p.Holder)
		})
		if i < 0 || slices.ContainsFunc(kept, func(c Copy) bool { return string(c.Key) == string(h.Copies[i].Key) }) {
			return nil, refuse(OtherKey, "")
		}
		if err := a.checkCard(ctx, h, token, p); err != nil {
			return nil, err
		}
		kept = append(kept, Copy{Credential: text, Key: h.Copies[i].Key})
	}
	h.Copies = kept
	a.nameClaims(&h)
	return &h, nil
}

// checkCard checks whose card it is, its signature and its dates.
func (a *Agent) checkCard(ctx context.Context, h Held, token []byte, p *cwt.Parsed) error {
	candidates, err := a.cardKeys(ctx, h, p)
	if err != nil {
		return err
	}
	v, err := cwt.Verify(token, cwt.Expect{Keys: candidates})
	if r, ok := errors.AsType[*credential.RejectedError](err); ok {
		if slices.Contains([]credential.Reason{credential.BadSignature, credential.UnknownIssuer, credential.Unsigned, credential.UnsupportedAlgorithm}, r.Reason) {
			return because(BadSignature, err)
		}
		return because(NotAsIssued, err)
	}
	if err != nil {
		return err
	}
	if now := a.now(); !usable(v, now.Add(clockSkew)) && !usable(v, now) || v.IssuedAt.After(now.Add(clockSkew)) {
		return refuse(BadDates, "it has expired or is of the future")
	}
	return nil
}

// cardKeys are the keys that may have signed a card: those of the bundle if it names
// the issuer, which the card names by its short id, else those that the issuer publishes
// at its own address.
func (a *Agent) cardKeys(ctx context.Context, h Held, p *cwt.Parsed) (keysOf, error) {
	if a.cfg.Trust == nil {
		return a.publishedKeys(ctx, h.Issuer)
	}
	known, ok := a.cfg.Trust.Issuer(h.Issuer)
	if !ok {
		return a.publishedKeys(ctx, h.Issuer)
	}
	if !known.Is(p.Issuer) {
		return nil, refuse(OtherCredentialIssuer, "%q", p.Issuer)
	}
	var all keysOf
	for _, k := range known.Keys {
		if signs(k, h.Type, p.IssuedAt, a.now()) {
			all = append(all, k.Key)
		}
	}
	return all, nil
}

// nameClaims takes the names of the claims from the bundle, which describes the type.
func (a *Agent) nameClaims(h *Held) {
	if a.cfg.Trust == nil {
		return
	}
	t, ok := a.cfg.Trust.Type(h.Type)
	if !ok {
		return
	}
	h.ClaimNames = map[string]string{}
	for _, f := range t.Fields {
		h.ClaimNames[fieldPath(f).String()] = f.Name
		for tag, label := range f.Labels {
			labels := h.Labels[f.Name]
			set(&labels, tag, label)
			if h.Labels == nil {
				h.Labels = map[string]map[string]string{}
			}
			h.Labels[f.Name] = labels
		}
	}
}

func fieldPath(f credential.TypeField) cwt.Path {
	if f.Person {
		return cwt.Path{int64(cwt.ClaimPerson), f.Key}
	}
	return cwt.Path{int64(cwt.ClaimFields), f.Key}
}

// Code is the text of a code that shows copy i of a card with the optional claims of
// these names and no proof of who holds it.
func (h *Held) Code(i int, claims []string) (string, error) {
	shown, err := h.shown(i, claims)
	if err != nil {
		return "", err
	}
	return qr.Encode(shown)
}

// shown is copy i with these optional claims.
func (h *Held) shown(i int, claims []string) ([]byte, error) {
	token, _, err := h.card(i)
	if err != nil {
		return nil, err
	}
	all, err := h.CardClaims(i)
	if err != nil {
		return nil, err
	}
	var paths []cwt.Path
	for _, name := range claims {
		n := slices.IndexFunc(all, func(c CardClaim) bool { return c.Name == name })
		if n < 0 {
			return nil, refuse(BadChoice, "the card has no claim %q", name)
		}
		paths = append(paths, all[n].path)
	}
	return cwt.Present(token, paths...)
}

// LiveCode is the text of a live code: copy i of a card with the optional claims of
// these names, signed with its key for an audience and at a time.
func (a *Agent) LiveCode(h *Held, i int, claims []string, p cwt.Proof) (string, error) {
	shown, err := h.shown(i, claims)
	if err != nil {
		return "", err
	}
	signer, err := a.cfg.Keys.Signer(h.Copies[i].Key)
	if err != nil {
		return "", err
	}
	b, err := cwt.Bind(a.cfg.Rand, shown, p, signer)
	if r, ok := errors.AsType[*credential.RejectedError](err); ok && r.Reason == credential.HolderProofBad {
		return "", because(BadDates, err) // the card is over, or the phone's clock is wrong
	} else if err != nil {
		return "", err
	}
	return qr.Encode(b)
}

// An Asking is a question of a verifier, as the person is asked about it.
type Asking struct {
	Verifier Party `json:"verifier"`
	// Poster says that it hangs on the wall, and was not asked just now.
	Poster bool `json:"poster"`
	// Purpose is why, on the word of whoever signed the question.
	Purpose string `json:"purpose,omitempty"`
	Type    string `json:"type"`
	// Card is the one that answers, Copy the copy to show, and Claims what it then
	// shows beside what it always does.
	Card   *Held       `json:"-"`
	Copy   int         `json:"-"`
	Claims []CardClaim `json:"claims"`

	question *cwt.AskedQuestion
}

// maxQuestionAge is how old a challenge may be, by the clock of the phone, which may
// be wrong: the verifier holds its two minutes by its own.
const maxQuestionAge = verification.AnswerFor + clockSkew

// Question reads the text of a poster or of a challenge, and finds what answers it.
// Nothing has been shown then.
func (a *Agent) Question(text string) (*Asking, error) {
	b, err := qr.Decode(text)
	if err != nil {
		return nil, because(BadLink, err)
	}
	q, err := cwt.ParseQuestion(b)
	if err != nil {
		return nil, because(BadLink, err)
	}
	switch now := a.now(); {
	case q.IssuedAt.After(now.Add(clockSkew)):
		return nil, refuse(OldRequest, "the question is of the future; is the clock right?")
	case q.Poster() && !now.Before(q.Expires), !q.Poster() && now.Sub(q.IssuedAt) > maxQuestionAge:
		return nil, refuse(OldRequest, "")
	}
	out := &Asking{
		Verifier: Party{ID: q.Verifier, Vouched: ByNobody}, Poster: q.Poster(), Purpose: q.Purpose, Type: q.Type, question: q, Claims: []CardClaim{},
	}
	if v := a.registeredAs(q.Verifier); v != nil {
		if err := q.Verify(v.Keys); err != nil {
			return nil, because(ForgedRequest, err)
		}
		out.Verifier = Party{ID: v.ID, Names: v.Names, Vouched: ByBundle, Anchor: a.cfg.Trust.Jurisdiction}
		if err := a.overAsks(v, &q.Question); err != nil {
			return nil, err
		}
	}
	return out, a.answering(out)
}

func (a *Agent) registeredAs(id string) *trust.Verifier {
	if a.cfg.Trust == nil {
		return nil
	}
	for i := range a.cfg.Trust.Verifiers {
		if v := &a.cfg.Trust.Verifiers[i]; v.ID == id {
			return v
		}
	}
	return nil
}

// askedPaths are the paths that a question asks for.
func askedPaths(q *cwt.Question) []cwt.Path {
	var paths []cwt.Path
	for _, k := range q.Person {
		paths = append(paths, cwt.Path{int64(cwt.ClaimPerson), k})
	}
	for _, k := range q.Fields {
		paths = append(paths, cwt.Path{int64(cwt.ClaimFields), k})
	}
	return paths
}

// overAsks refuses a verifier that asks for more than it is registered for.
func (a *Agent) overAsks(v *trust.Verifier, q *cwt.Question) error {
	if !v.Allows(q.Type, "") {
		return refuse(OverAsking, "the type %.200q", q.Type)
	}
	t, _ := a.cfg.Trust.Type(q.Type)
	for _, path := range askedPaths(q) {
		i := slices.IndexFunc(t.Fields, func(f credential.TypeField) bool { return slices.Equal(fieldPath(f), path) })
		if v.Asks != nil && (i < 0 || !v.Allows(q.Type, t.Fields[i].Name)) {
			return refuse(OverAsking, "%v of the type %.200q", path, q.Type)
		}
	}
	return nil
}

// answering finds the card that answers: the first of the type that has all that is
// asked for and is within its dates.
func (a *Agent) answering(q *Asking) error {
	all, err := a.cfg.Wallet.Held()
	if err != nil {
		return err
	}
	for n := range all {
		h := &all[n]
		i := h.Fresh()
		v, err := h.Says(i)
		if !h.Card() || h.Type != q.Type || h.Copies[i].Revoked || err != nil || !usable(v, a.now()) {
			continue
		}
		claims, err := h.CardClaims(i)
		if err != nil {
			continue
		}
		var found []CardClaim
		for _, path := range askedPaths(&q.question.Question) {
			if c := slices.IndexFunc(claims, func(c CardClaim) bool { return slices.Equal(c.path, path) }); c >= 0 {
				found = append(found, claims[c])
			}
		}
		if len(found) == len(askedPaths(&q.question.Question)) {
			q.Card, q.Copy, q.Claims = h, i, append(q.Claims, found...)
			return nil
		}
	}
	return refuse(NothingToShow, "no card of the type %.200q has all that is asked for", q.Type)
}

// Proof is what the holder signs to answer at this time.
func (q *Asking) Proof(at time.Time) cwt.Proof {
	return cwt.Proof{Audience: q.question.Verifier, IssuedAt: at, Nonce: q.question.Nonce}
}

// Names are the names of what is asked for.
func (q *Asking) Names() []string {
	names := []string{}
	for _, c := range q.Claims {
		names = append(names, c.Name)
	}
	return names
}
