//go:build !js

package wallet

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/did"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/oid4vp"
)

// An Inquiry is a request of a verifier as the person is asked about it: who asks, on
// whose word, what, why, and how long it is kept.
type Inquiry struct {
	// Verifier is who asks, and on whose word. Said in it is what the verifier calls
	// itself in its request.
	Verifier Party `json:"verifier"`
	// Asks are what is asked for.
	Asks []Ask `json:"asks"`
	// Purpose is why, by language, in the verifier's own words; empty if it does not
	// say. Kept is how long it says to keep what it gets; nil if it does not say.
	Purpose map[string]string `json:"purpose,omitempty"`
	Kept    *time.Duration    `json:"-"`
	// Possible says that the wallet can answer. Whether it does is the person's
	// decision, and the verifier must not learn which of both was missing.
	Possible bool `json:"possible"`

	request *oid4vp.Request
	match   *oid4vp.Match
	held    []shown
	left    Refusal // why a credential of a type that is asked for was left out, "" if none was
}

// shown is a credential of the wallet with the copy that would be shown.
type shown struct {
	held Held
	copy int
	of   oid4vp.Credential
}

// text is the credential as its issuer gave it out.
func (s *shown) text() string { return s.held.Copies[s.copy].Credential }

// An Ask is one credential that is asked for.
type Ask struct {
	// Query is what the verifier calls it.
	Query string   `json:"query"`
	Types []string `json:"types"`
	// Optional says that the verifier can do without all of it. Alternative says that it
	// needs this or something else that it asks for.
	Optional    bool `json:"optional"`
	Alternative bool `json:"alternative,omitempty"`
	// Several says that the verifier takes more than one of Options.
	Several bool `json:"several,omitempty"`
	// Options are the credentials that can answer; none if there is none.
	Options []Option `json:"options"`
}

// An Option is a credential of the wallet that can answer.
type Option struct {
	Credential string            `json:"credential"`
	Type       string            `json:"type"`
	Names      map[string]string `json:"names,omitempty"`
	// Claims are what the verifier gets at least. Optional are those that it would also
	// take; they are left out unless the person chooses them.
	Claims   []AskedClaim `json:"claims"`
	Optional []AskedClaim `json:"optional,omitempty"`
	// Beside are claims that the verifier gets with Claims although it did not ask for them:
	// those that the issuer lets nobody leave out.
	Beside []AskedClaim `json:"beside,omitempty"`
	// Fresh counts the copies that were never shown.
	Fresh int `json:"fresh_copies"`

	candidates []oid4vp.Candidate // by number of claims
}

// An AskedClaim is a claim by its path, with its names: its own, or those of the list that it
// is in, or of what is in it.
type AskedClaim struct {
	Path   string            `json:"path"`
	Labels map[string]string `json:"labels,omitempty"`
	// Values are what the verifier would read. No JSON has them.
	Values []any `json:"-"`
}

// Inquire reads the link of a request, fetches the request and establishes who asks.
// Nothing is sent but what fetching takes.
func (a *Agent) Inquire(ctx context.Context, link string) (*Inquiry, error) {
	in, err := oid4vp.ParseInvocation(strings.TrimSpace(link))
	if err != nil {
		return nil, asRequest(err, BadLink)
	}
	switch {
	case !in.ClientID.Signed(), in.RequestURI == "" && in.Object == "":
		return nil, refuse(UnsignedRequest, "")
	case in.ClientID.Prefix == oid4vp.PreRegistered:
		return nil, refuse(UnknownVerifier, "%s is not registered with this wallet", in.ClientID.Name)
	}
	want := oid4vp.Expect{Now: a.now(), Chains: verifierChains(a.cfg.Roots), DIDs: verifierDIDs{a.resolver()}, DevHTTP: a.cfg.LoopbackHTTP}
	object := ""
	if in.RequestURI != "" {
		if in.Method == oid4vp.Post {
			if want.WalletNonce, err = oid4vp.NewSecret(a.cfg.Rand); err != nil {
				return nil, err
			}
		}
		if object, err = a.requestObject(ctx, in, want.WalletNonce); err != nil {
			return nil, err
		}
	}
	r, err := in.Open(ctx, object, want)
	if err != nil {
		return nil, asRequest(err, ForgedRequest)
	}
	q := &Inquiry{Verifier: a.verifier(r), request: r}
	if nameless(q.Verifier, r) {
		return nil, refuse(UnknownVerifier, "no authority vouches for the name %s", r.Client.ID.Name)
	}
	if err := a.registered(r); err != nil {
		return nil, err
	}
	if r.Policy != nil {
		q.Purpose, q.Kept, q.Verifier.Said = r.Policy.Purpose, &r.Policy.Retention, r.Policy.Name
	}
	return q, a.match(q)
}

// nameless reports whether a request is made in a name that nobody vouches for: everybody
// can put any name into a certificate.
func nameless(who Party, r *oid4vp.Request) bool {
	return who.Vouched == ByNobody && r.Client.ID.Prefix == oid4vp.X509SANDNS
}

// requestObject fetches the request, with a nonce of the wallet if the verifier takes
// one.
func (a *Agent) requestObject(ctx context.Context, in *oid4vp.Invocation, nonce string) (string, error) {
	r := Request{Address: in.RequestURI, Accept: oid4vp.RequestMediaType, MaxBytes: oid4vp.MaxRequest}
	if in.Method == oid4vp.Post {
		form, err := in.Form(&oid4vp.WalletMetadata{
			Formats: oid4vp.SDJWTFormat(), Prefixes: []oid4vp.Prefix{oid4vp.X509Hash, oid4vp.X509SANDNS, oid4vp.DecentralizedIdentifier},
			Algorithms: []string{string(keys.ES256)},
		}, nonce)
		if err != nil {
			return "", err
		}
		r.Type, r.Body = oid4vp.FormMediaType, []byte(form.Encode())
	}
	answer, err := a.send(ctx, r)
	switch {
	case err != nil:
		return "", err
	case answer.Status != 200:
		return "", refuse(PeerRefused, "the verifier has no request there (status %d)", answer.Status)
	case mediaType(answer.Type) != oid4vp.RequestMediaType:
		return "", refuse(BadMessage, "the request is not of type %s", oid4vp.RequestMediaType)
	}
	return strings.TrimSpace(string(answer.Body)), nil
}

// asRequest is a refusal for what oid4vp found wrong.
func asRequest(err error, otherwise Refusal) error {
	for _, r := range []struct {
		is     error
		reason Refusal
	}{
		{oid4vp.ErrURI, OtherAddress}, {oid4vp.ErrTime, OldRequest}, {oid4vp.ErrNonce, OtherWallet}, {oid4vp.ErrAudience, OtherWallet},
		{oid4vp.ErrState, OtherWallet}, {oid4vp.ErrEncryption, PlainAnswer}, {oid4vp.ErrSignature, ForgedRequest}, {oid4vp.ErrClient, ForgedRequest},
		{oid4vp.ErrUnanswered, BadChoice}, {oid4vp.ErrMalformed, BadMessage}, {oid4vp.ErrTooLarge, BadMessage}, {oid4vp.ErrQuery, BadMessage},
	} {
		if errors.Is(err, r.is) {
			if otherwise == BadLink && r.reason == BadMessage {
				return because(BadLink, err)
			}
			return because(r.reason, err)
		}
	}
	e, ok := errors.AsType[*oid4vp.Error](err)
	switch {
	case ok && e.Code == oid4vp.InvalidTransactionData, errors.Is(err, oid4vp.ErrTransactionData):
		return because(BadMessage, err)
	case errors.Is(err, oid4vp.ErrNotSupported) && otherwise == ForgedRequest:
		return because(BadMessage, err) // what this wallet cannot do is no forgery
	case ok:
		return because(otherwise, err)
	}
	return err
}

// match finds what can answer. A credential that is out of its dates or revoked answers
// nothing. One that cannot be read keeps no other from answering, and is the error if none does.
func (a *Agent) match(q *Inquiry) error {
	all, damaged := a.cfg.Wallet.Held()
	var of []oid4vp.Credential
	for _, h := range all {
		if h.Card() {
			continue // OpenID4VP does not ask for cards
		}
		i := h.Fresh()
		p, err := sdjwt.Parse(h.Copies[i].Credential)
		if err != nil || p.Problem != nil {
			continue
		}
		if !usable(p.Credential, a.now()) || h.Copies[i].Revoked {
			if slices.ContainsFunc(q.request.Query.Credentials, func(c oid4vp.CredentialQuery) bool { return slices.Contains(c.Types, h.Type) }) {
				q.left = Expired
				if h.Copies[i].Revoked {
					q.left = Revoked
				}
			}
			continue
		}
		c, err := oid4vp.HeldSDJWT(p)
		if err != nil || !takes(q.request.Metadata, p) {
			continue
		}
		q.held, of = append(q.held, shown{h, i, c}), append(of, c)
	}
	q.match = q.request.Query.Match(of)
	if q.Possible = q.match.Possible(); !q.Possible && damaged != nil {
		return damaged
	}
	for i := range q.match.Queries {
		ask, err := q.ask(&q.match.Queries[i])
		if err != nil {
			return err
		}
		q.Asks = append(q.Asks, ask)
	}
	return nil
}

// takes reports whether the verifier can check the signatures of a credential and of its
// holder (OpenID4VP section B.3.4): what it would have to refuse is not disclosed to it.
func takes(m *oid4vp.ClientMetadata, p *sdjwt.Parsed) bool {
	holder := ""
	if p.Credential.Holder != nil {
		holder = string(p.Credential.Holder.Algorithm())
	}
	return m.Formats[credential.FormatSDJWT].Takes(p.Algorithm, holder)
}

// ask is one credential query for the person.
func (q *Inquiry) ask(m *oid4vp.QueryMatch) (Ask, error) {
	ask := Ask{Query: m.Query.ID, Types: m.Query.Types, Optional: len(q.match.Sets) > 0, Several: m.Query.Multiple, Options: []Option{}}
	for _, s := range q.match.Sets {
		if !s.Set.Optional && slices.ContainsFunc(s.Set.Options, func(ids []string) bool { return slices.Contains(ids, ask.Query) }) {
			ask.Optional, ask.Alternative = false, ask.Alternative || len(s.Set.Options) > 1
		}
	}
	for _, c := range m.Candidates {
		h := q.held[c.Credential].held
		i := slices.IndexFunc(ask.Options, func(o Option) bool { return o.Credential == h.ID })
		if i < 0 {
			o := Option{Credential: h.ID, Type: h.Type, Names: h.Names}
			for _, copy := range h.Copies {
				if copy.Shown == 0 {
					o.Fresh++
				}
			}
			i, ask.Options = len(ask.Options), append(ask.Options, o)
		}
		ask.Options[i].candidates = append(ask.Options[i].candidates, c)
	}
	for i := range ask.Options {
		o := &ask.Options[i]
		// The set with the fewest claims is what the verifier needs; what others have
		// beyond it, it can do without.
		slices.SortStableFunc(o.candidates, func(a, b oid4vp.Candidate) int { return len(a.Claims) - len(b.Claims) })
		held := &q.held[o.candidates[0].Credential]
		labels := held.held.Labels
		o.Claims = asked(o.candidates[0], labels)
		paths, err := beside(held, o.candidates[0])
		if err != nil {
			return ask, err
		}
		for _, p := range paths {
			o.Beside = append(o.Beside, AskedClaim{Path: p.Text(), Labels: labelsOf(labels, p)})
		}
		for _, c := range o.candidates[1:] {
			for _, claim := range asked(c, labels) {
				same := func(other AskedClaim) bool { return other.Path == claim.Path }
				if !slices.ContainsFunc(o.Claims, same) && !slices.ContainsFunc(o.Optional, same) {
					o.Optional = append(o.Optional, claim)
				}
			}
		}
	}
	return ask, nil
}

// asked are the claims of a candidate.
func asked(c oid4vp.Candidate, labels map[string]map[string]string) []AskedClaim {
	list := []AskedClaim{}
	for _, f := range c.Claims {
		list = append(list, AskedClaim{oid4vp.PathText(f.Query.Path), labelsOf(labels, f.Query.Path), f.Values})
	}
	return list
}

// labelsOf are the names of the claims at a path, by language: an element is called what its
// list is called, and an object, which has no name of its own, by what is in it.
func labelsOf(labels map[string]map[string]string, path sdjwt.Path) map[string]string {
	for i := len(path); i > 0; i-- {
		if own := labels[oid4vp.PathText(path[:i])]; own != nil {
			return own
		}
		if _, name := path[i-1].(string); name {
			break
		}
	}
	var within map[string]string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if !strings.HasPrefix(name, oid4vp.PathText(path)+".") {
			continue
		}
		if within == nil {
			within = maps.Clone(labels[name])
			continue
		}
		for tag := range within { // languages that all of them have
			if label, ok := labels[name][tag]; ok {
				within[tag] += ", " + label
			} else {
				delete(within, tag)
			}
		}
	}
	return within
}

// A Choice is what the person agreed to for one credential that is asked for.
type Choice struct {
	Query, Credential string
	// With are the paths of optional claims to show as well.
	With []string
}

// Least is the least that answers: for each credential that the verifier needs the first
// that can, without optional claims.
//
// If there is nothing that answers, the refusal says to the person why: [NothingToShow],
// [Expired] or [Revoked]. The verifier hears the same in all cases ([Agent.Decline]).
func (q *Inquiry) Least() ([]Choice, error) {
	if !q.Possible && q.left != "" {
		return nil, refuse(q.left, "")
	}
	if !q.Possible {
		return nil, refuse(NothingToShow, "")
	}
	least, err := q.match.Default()
	if err != nil {
		return nil, refuse(NothingToShow, "")
	}
	var list []Choice
	for _, c := range least {
		list = append(list, Choice{Query: c.Query, Credential: q.held[c.Credential].held.ID})
	}
	return list, nil
}

// With is choices with one more credential that is asked for: what can be left out comes
// beside the others, with all that belongs to it, and an alternative in place of the other.
// It returns false if nothing in the wallet answers like that.
func (q *Inquiry) With(choices []Choice, query string) ([]Choice, bool) {
	chosen := func(id string) bool {
		return slices.ContainsFunc(choices, func(c Choice) bool { return c.Query == id })
	}
	ids, replaced, found := []string{}, []string{}, false
	for _, s := range q.match.Sets {
		if len(s.Options) == 0 {
			continue
		}
		// The option with the query, else the one that was chosen, else the first.
		option := slices.IndexFunc(s.Options, func(i int) bool { return slices.Contains(s.Set.Options[i], query) })
		wanted := option >= 0
		if !wanted {
			option = slices.IndexFunc(s.Options, func(i int) bool {
				return !slices.ContainsFunc(s.Set.Options[i], func(id string) bool { return !chosen(id) })
			})
		}
		if option < 0 && s.Set.Optional {
			continue
		}
		found = found || wanted
		ids = append(ids, s.Set.Options[s.Options[max(option, 0)]]...)
		for _, other := range s.Set.Options {
			replaced = append(replaced, other...)
		}
	}
	if !found {
		return choices, false
	}
	var out []Choice
	for _, c := range choices {
		if slices.Contains(ids, c.Query) || !slices.Contains(replaced, c.Query) {
			out = append(out, c)
		}
	}
	for _, ask := range q.Asks {
		if slices.Contains(ids, ask.Query) && !slices.ContainsFunc(out, func(c Choice) bool { return c.Query == ask.Query }) {
			out = append(out, Choice{Query: ask.Query, Credential: ask.Options[0].Credential})
		}
	}
	return out, true
}

// Take is choices with one credential of the wallet wherever it answers: beside the others if
// the verifier takes several, else in place of the one that was chosen. It returns false if it
// answers nothing that was chosen.
func (q *Inquiry) Take(choices []Choice, credential string) ([]Choice, bool) {
	var out []Choice
	found := false
	for _, ask := range q.Asks {
		chosen := slices.DeleteFunc(slices.Clone(choices), func(c Choice) bool { return c.Query != ask.Query })
		answers := slices.ContainsFunc(ask.Options, func(o Option) bool { return o.Credential == credential })
		if len(chosen) == 0 || !answers {
			out = append(out, chosen...)
			continue
		}
		found = true
		taken := Choice{Query: ask.Query, Credential: credential}
		same := slices.ContainsFunc(chosen, func(c Choice) bool { return c.Credential == credential })
		switch {
		case ask.Several && !same:
			out = append(out, append(chosen, taken)...)
		case ask.Several:
			out = append(out, chosen...)
		default:
			out = append(out, taken)
		}
	}
	return out, found
}

// resolve finds the candidates for what the person chose: of each the one with the
// fewest claims that has all of With.
func (q *Inquiry) resolve(chosen []Choice) ([]oid4vp.Choice, error) {
	var list []oid4vp.Choice
	for _, c := range chosen {
		var found *oid4vp.Candidate
		for _, ask := range q.Asks {
			for _, o := range ask.Options {
				if ask.Query != c.Query || o.Credential != c.Credential || found != nil {
					continue
				}
				found = least(o.candidates, c.With)
			}
		}
		if found == nil {
			return nil, refuse(BadChoice, "nothing answers %q like that", c.Query)
		}
		list = append(list, oid4vp.Choice{Query: c.Query, Candidate: *found})
	}
	if err := q.match.Check(list); err != nil {
		return nil, because(BadChoice, err)
	}
	return list, nil
}

func least(candidates []oid4vp.Candidate, with []string) *oid4vp.Candidate {
	for i := range candidates {
		c := &candidates[i]
		if !slices.ContainsFunc(with, func(path string) bool {
			return !slices.ContainsFunc(c.Claims, func(f oid4vp.FoundClaim) bool { return oid4vp.PathText(f.Query.Path) == path })
		}) {
			return c
		}
	}
	return nil
}

// Present answers a request with what the person chose, and returns where the person goes
// next, "" if the verifier says nothing. Each copy that is shown is counted, and the
// log says what goes to whom, before anything is sent.
func (a *Agent) Present(ctx context.Context, q *Inquiry, chosen []Choice) (next string, err error) {
	choices, err := q.resolve(chosen)
	if err != nil {
		return "", err
	}
	data, err := q.request.Authorise(choices)
	if err != nil {
		return "", asRequest(err, BadChoice)
	}
	token := oid4vp.VPToken{}
	for i, c := range choices {
		text, err := a.show(q, c, data[i])
		if err != nil {
			return "", err
		}
		token[c.Query] = append(token[c.Query], text)
	}
	form, err := q.request.Respond(token)
	if err != nil {
		return "", asRequest(err, PlainAnswer)
	}
	answer, err := a.send(ctx, Request{
		Address: q.request.ResponseURI, Type: oid4vp.FormMediaType, Accept: oid4vp.ReplyMediaType, Body: []byte(form.Encode()), MaxBytes: oid4vp.MaxReply,
	})
	if err != nil {
		return "", err
	}
	if answer.Status == 400 {
		if err := a.explain(ctx, q, choices); err != nil {
			return "", err
		}
	}
	return a.reply(answer)
}

// explain looks for what a verifier, which does not say why it refused, may have seen: that
// the issuer revoked or suspended what was shown.
func (a *Agent) explain(ctx context.Context, q *Inquiry, choices []oid4vp.Choice) error {
	for _, c := range choices {
		h, err := a.heldNow(q.held[c.Credential].held.ID)
		if err != nil {
			return err
		}
		// A list that is out of reach explains nothing.
		if r, ok := errors.AsType[*credential.RejectedError](a.Status(ctx, h)); ok {
			switch r.Reason {
			case credential.Revoked:
				return refuse(Revoked, "the verifier refused it, and the issuer says that it has revoked it")
			case credential.Suspended:
				return refuse(Suspended, "the verifier refused it, and the issuer says that it has suspended it")
			}
		}
	}
	return nil
}

// reply reads the verifier's answer. It is never followed: where the person goes is
// theirs to decide.
func (a *Agent) reply(answer Answer) (string, error) {
	if answer.Status != 200 {
		return "", refuse(PeerRefused, "the verifier answered with status %d", answer.Status)
	}
	if len(answer.Body) == 0 {
		return "", nil
	}
	r, err := oid4vp.ParseReply(answer.Body, a.cfg.LoopbackHTTP)
	if err != nil {
		return "", because(BadMessage, err)
	}
	return r.RedirectURI, nil
}

// show makes one presentation. It counts the copy and writes the log first.
func (a *Agent) show(q *Inquiry, c oid4vp.Choice, data []oid4vp.TransactionData) (string, error) {
	s := q.held[c.Credential]
	signer, err := a.cfg.Keys.Signer(s.held.Copies[s.copy].Key)
	if err != nil {
		return "", err
	}
	also, err := beside(&s, c.Candidate)
	if err != nil {
		return "", err
	}
	s.held.Copies[s.copy].Shown++
	if err := a.cfg.Wallet.Put(s.held); err != nil {
		return "", err
	}
	e := Entry{
		At: a.cfg.Now().UTC(), Deed: Presented, Credential: s.held.ID, Type: s.held.Type, Party: q.Verifier.ID, Name: a.cfg.Language.Pick(q.Verifier.Names), Anchor: q.Verifier.Anchor,
		Claims: []string{}, Purpose: a.cfg.Language.Pick(q.Purpose),
	}
	for _, f := range c.Claims {
		e.Claims = append(e.Claims, oid4vp.PathText(f.Query.Path))
	}
	for _, p := range also {
		e.Claims = append(e.Claims, p.Text())
	}
	if q.Kept != nil {
		days := int(*q.Kept / (24 * time.Hour))
		e.Kept = &days
	}
	if err := a.cfg.Wallet.Note(e); err != nil {
		return "", err
	}
	text, err := sdjwt.Present(s.text(), c.Disclose()...)
	if err != nil || !c.Bind {
		return text, err
	}
	return sdjwt.Bind(a.cfg.Rand, text, q.request.Proof(a.now(), data), signer)
}

// resolver resolves the DIDs of verifiers.
func (a *Agent) resolver() did.Resolver {
	var local []string
	if a.cfg.LoopbackHTTP {
		local = []string{"localhost", "127.0.0.1"}
	}
	return did.New(did.Config{LocalHosts: local, Fetch: func(ctx context.Context, address string) ([]byte, error) {
		answer, err := a.document(ctx, address, strings.Join(did.MediaTypes, ", "), 256<<10)
		return answer.Body, err
	}})
}

// heldNow is a credential as it is kept now: somebody may have changed it meanwhile.
func (a *Agent) heldNow(id string) (Held, error) {
	all, err := a.cfg.Wallet.Held()
	if err != nil {
		return Held{}, err
	}
	for _, h := range all {
		if h.ID == id {
			return h, nil
		}
	}
	return Held{}, ErrNotHeld
}
