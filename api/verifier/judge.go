package verifier

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/disclosed"
	"github.com/sanad-id/sanad/oid4vp"
	"github.com/sanad-id/sanad/store/once"
	"github.com/sanad-id/sanad/verification"
)

// Reasons of a [Result] beside those of credentials ([credential.Reason]). The set is
// closed.
const (
	// NotAnswered: something that the policy needs is not there.
	NotAnswered = "query_not_answered"
	// IssuerNotAccepted: genuine, and of an issuer that the policy does not take.
	IssuerNotAccepted = "issuer_not_accepted"
	// StatusTooOld: what is known of revocations is older than the policy allows.
	StatusTooOld = "status_older_than_policy"
	// SamePersonNotProven: credentials with different holders' keys in one answer.
	SamePersonNotProven = "same_person_not_proven"
	// TransactionNotAuthorised: the holder did not sign for the transaction data.
	TransactionNotAuthorised = "transaction_not_authorised"
	// ResultTooLarge: more than can be handed on.
	ResultTooLarge = "result_too_large"
)

// A Result is what a relying party gets.
type Result struct {
	Verdict verification.Verdict `json:"verdict"`
	// Reasons are those of the verdict: of credentials, and of this package.
	Reasons []string `json:"reasons"`
	// Refused is the OAuth error that the wallet answered with, if it refused.
	Refused oid4vp.Code `json:"refused,omitempty"`
	// CrossDevice says that the request was for no browser that came back: whoever was sent
	// its code or link may have answered (OpenID4VP section 14.2; corpus VP-14).
	CrossDevice bool `json:"cross_device,omitempty"`
	// Presentations are what was shown, each with its own verdict.
	Presentations []Presentation `json:"presentations"`
	// Transactions says that the holder signed for all transaction data.
	Transactions bool `json:"transaction_data_authorised,omitempty"`
	// Received is when the answer came, in RFC 3339.
	Received string `json:"received_at"`
	// Digest is the SHA-256 of what the wallet presented, in base64url.
	Digest string `json:"digest,omitempty"`
	// Receipt is a signed statement of digest, verdict and time, if asked for.
	Receipt string `json:"receipt,omitempty"`
	// Token is what the wallet presented, if the policy keeps it.
	Token oid4vp.VPToken `json:"vp_token,omitempty"`

	// holders are the keys that proved to be the holders' of what was presented, disclosed
	// those whose private halves stand in it.
	holders, disclosed []keys.PublicKey
}

// A Presentation is one credential that was shown.
type Presentation struct {
	// Credential is the id in the query.
	Credential string               `json:"credential"`
	Verdict    verification.Verdict `json:"verdict"`
	Reasons    []string             `json:"reasons"`
	// Claims are those that were asked for and are there; none of a credential that is
	// invalid, by itself or as an answer to this query.
	Claims []ShownClaim `json:"claims"`
	// Report is that of the rules, with the claims that were asked for only.
	Report *verification.Report `json:"report,omitempty"`
}

// A ShownClaim is one value at one place.
type ShownClaim struct {
	Path  sdjwt.Path `json:"path"`
	Value any        `json:"value"`
}

// word is the verdict, or "refused".
func (r *Result) word() string {
	if r.Refused != "" {
		return wordRefused
	}
	return string(r.Verdict)
}

// because adds a reason that leaves no better verdict than v.
func (r *Result) because(v verification.Verdict, reason string) {
	r.Verdict = verification.Worse(r.Verdict, v)
	if !slices.Contains(r.Reasons, reason) {
		r.Reasons = append(r.Reasons, reason)
	}
}

// fit is the result as JSON that the store can hold.
func (r *Result) fit() ([]byte, error) {
	const most = once.MaxData*3/4 - 4<<10 // base64 around it
	b, err := r.encode()
	if err != nil || len(b) <= most {
		return b, err
	}
	small := *r
	small.Token, small.Presentations = nil, []Presentation{}
	small.because(verification.Undetermined, ResultTooLarge)
	*r = small
	return r.encode()
}

// encode is json.Marshal, in half the time: reports are not read again.
func (r *Result) encode() ([]byte, error) {
	type presentation struct {
		Presentation
		Report any `json:"report,omitempty"` // in the place of that of Presentation
	}
	var shown []presentation
	if r.Presentations != nil {
		shown = make([]presentation, len(r.Presentations))
	}
	for i, p := range r.Presentations {
		if shown[i].Presentation = p; p.Report != nil {
			shown[i].Report = p.Report.Fields()
		}
	}
	return json.Marshal(struct {
		*Result
		Presentations []presentation `json:"presentations"`
	}{r, shown})
}

// shownFormat verifies the SD-JWTs of one answer.
type shownFormat struct {
	audience, nonce string
	maxAge          time.Duration
	unbound         bool
	oldType         bool // typ may be vc+sd-jwt, too
	now             time.Time
	listed          []keys.PublicKey // that were disclosed
	holder          *keys.PublicKey  // of the last one
	parsed          *sdjwt.Parsed    // that one, if it proves its holder
}

// Verify implements [verification.Format].
func (f *shownFormat) Verify(message []byte, issuers verification.IssuerKeys) (*credential.Verified, error) {
	want := sdjwt.Expect{Keys: issuers, Now: f.now, Binding: sdjwt.BindingRefused, OldType: f.oldType, LeaveDates: true}
	text := string(message)
	if f.unbound {
		v, err := sdjwt.Verify(sdjwt.Unbound(text), want)
		if err == nil {
			f.holder = v.Holder
		}
		return v, err
	}
	want.Binding, want.Audience, want.Nonce, want.MaxAge = sdjwt.BindingRequired, f.audience, f.nonce, f.maxAge
	v, parsed, err := sdjwt.VerifyParsed(text, want)
	if err != nil {
		return nil, err
	}
	if v.Holder != nil && slices.ContainsFunc(f.listed, v.Holder.Equal) {
		return nil, credential.Reject(credential.HolderProofBad, "the private half of the holder's key was sent here before, so that anybody may have signed")
	}
	f.holder, f.parsed = v.Holder, parsed
	return v, nil
}

// judge makes the result of an answer. Proofs by keys that are listed as disclosed prove
// nothing. An error means that it was no answer to this request, which goes on.
func (s *Service) judge(
	ctx context.Context, now time.Time, p *Policy, tx *transaction, request *oid4vp.Request, response *oid4vp.Response, listed []keys.PublicKey,
) (*Result, error) {
	result := &Result{
		Verdict: verification.Valid, Reasons: []string{}, CrossDevice: tx.ReturnTo == "", Presentations: []Presentation{}, Received: now.UTC().Format(time.RFC3339),
	}
	if response.Refusal != nil {
		result.Verdict, result.Refused = verification.Undetermined, response.Refusal.Code
		return result, nil
	}
	if err := known(request.Query, response.Token); err != nil {
		return nil, err
	}
	result.Digest = digest(response.Token)
	var presented []oid4vp.Presented
	var texts, holders, unread []string // of what is presented; a holder may be ""
	for _, q := range request.Query.Credentials {
		for _, text := range response.Token[q.ID] {
			f := &shownFormat{
				audience: tx.Client, nonce: request.Nonce, now: now, unbound: q.Unbound, oldType: s.OldType, listed: listed,
				maxAge: now.Sub(request.IssuedAt) + oid4vp.Leeway,
			}
			c, err := s.checker(ctx, now, f, []byte(text))
			if err != nil {
				return nil, err
			}
			report := c.Check([]byte(text))
			s.learn(report)
			one := Presentation{Credential: q.ID, Verdict: report.Verdict, Reasons: words(report.Reasons()), Claims: []ShownClaim{}, Report: &report}
			shown := oid4vp.Presented{Query: q.ID, Refused: report.Verdict == verification.Invalid}
			if f.parsed == nil {
				f.parsed, err = sdjwt.Parse(text)
			}
			if err == nil {
				shown.Credential, err = oid4vp.ShownSDJWT(f.parsed)
			}
			shown.Refused = shown.Refused || err != nil
			holder := ""
			if f.holder != nil {
				holder = f.holder.JWKThumbprint()
				result.proven(*f.holder, q.Unbound)
			} else {
				unread = append(unread, text)
			}
			holders = append(holders, holder)
			result.Verdict = verification.Worse(result.Verdict, report.Verdict)
			for _, reason := range one.Reasons {
				result.because(result.Verdict, reason)
			}
			p.limits(result, &one)
			presented, texts = append(presented, shown), append(texts, text)
			result.Presentations = append(result.Presentations, one)
		}
	}
	if err := s.answered(result, request, presented); err != nil {
		return nil, err
	}
	if result.people(holders) > 1 && !p.SeveralPeople {
		result.because(verification.CheckNeeded, SamePersonNotProven)
	}
	if len(request.TransactionData) > 0 {
		if err := request.Authorised(result.counted(texts)); err != nil {
			result.because(verification.Invalid, TransactionNotAuthorised)
		} else {
			result.Transactions = result.Verdict != verification.Invalid
		}
	}
	if p.KeepPresentation {
		result.Token = response.Token
	}
	if result.Verdict != verification.Valid {
		result.disclosed = disclosed.Keys(unread...)
	}
	return result, nil
}

// proven notes the key of a holder who had to prove to have it.
func (r *Result) proven(holder keys.PublicKey, unbound bool) {
	if !unbound && !slices.ContainsFunc(r.holders, holder.Equal) {
		r.holders = append(r.holders, holder)
	}
}

// counted are the presentations that answer their queries, of these in the order of the
// result: the others are discarded (OpenID4VP 1.0 section 8.6), and authorise nothing.
func (r *Result) counted(texts []string) oid4vp.VPToken {
	token := oid4vp.VPToken{}
	for i, one := range r.Presentations {
		if one.Verdict != verification.Invalid {
			token[one.Credential] = append(token[one.Credential], texts[i])
		}
	}
	return token
}

// people are how many holders those presentations have that are not discarded; holders are
// theirs in the order of the result.
func (r *Result) people(holders []string) int {
	all := map[string]bool{}
	for i, one := range r.Presentations {
		if one.Verdict != verification.Invalid && holders[i] != "" {
			all[holders[i]] = true
		}
	}
	return len(all)
}

// known refuses an answer to something else before any signature is looked at.
func known(q *oid4vp.Query, token oid4vp.VPToken) error {
	for id, list := range token {
		c := q.Credential(id)
		if c == nil || len(list) > 1 && !c.Multiple {
			return &oid4vp.Error{Code: oid4vp.InvalidRequest, Description: "the answer is not one to this query"}
		}
	}
	return nil
}

// limits are what the policy asks beyond the rules.
func (p *Policy) limits(result *Result, one *Presentation) {
	r := one.Report
	add := func(v verification.Verdict, reason string) {
		one.Verdict = verification.Worse(one.Verdict, v)
		one.Reasons = append(one.Reasons, reason)
		result.because(v, reason)
	}
	if len(p.Issuers) > 0 && r.Issuer != "" && !slices.Contains(p.Issuers, r.Issuer) {
		add(verification.Invalid, IssuerNotAccepted)
	}
	status := r.Check(verification.CheckStatus)
	if p.StatusFresh > 0 && status.Result == verification.Pass && (r.Basis.StatusAsOf.IsZero() || r.StatusAge > p.StatusFresh) {
		add(verification.CheckNeeded, StatusTooOld)
	}
}

// answered holds what was shown against the query, and keeps of it what was asked for.
func (s *Service) answered(result *Result, request *oid4vp.Request, presented []oid4vp.Presented) error {
	answer, err := request.Query.Answered(presented)
	if err != nil {
		return err
	}
	if !answer.Complete {
		result.because(verification.Invalid, NotAnswered)
	}
	for i := range result.Presentations {
		one := &result.Presentations[i]
		item := answer.Items[i]
		if item.Short != "" {
			// Section 8.6: what is not as the query wants it is discarded, however genuine.
			one.Verdict = verification.Worse(one.Verdict, verification.Invalid)
			one.Reasons = append(one.Reasons, string(item.Short))
			result.because(result.Verdict, string(item.Short))
		}
		if one.Verdict == verification.Invalid {
			one.Report.Claims = []verification.Claim{}
			continue
		}
		var asked []sdjwt.Path
		for _, c := range item.Claims {
			for j, path := range c.Paths {
				one.Claims, asked = append(one.Claims, ShownClaim{path, c.Values[j]}), append(asked, path)
			}
		}
		one.Report.Claims = askedOf(one.Report.Claims, asked)
	}
	return nil
}

// askedOf are the claims of a report as far as they were asked for, at these paths. The name
// of a claim is that of the credential, or of a field of its type such as address.district.
func askedOf(claims []verification.Claim, asked []sdjwt.Path) []verification.Claim {
	out := []verification.Claim{}
	for _, c := range claims {
		var inside []sdjwt.Path
		for _, path := range asked {
			for _, at := range [][]string{{c.Name}, strings.Split(c.Name, ".")} {
				if rest, ok := within(path, at); ok {
					inside = append(inside, rest)
					break
				}
			}
		}
		if len(inside) > 0 {
			c.Value = only(c.Value, inside)
			out = append(out, c)
		}
	}
	return out
}

// within is what of a path leads on from these names: nothing if it ends there, or before.
func within(path sdjwt.Path, names []string) (rest sdjwt.Path, ok bool) {
	for i := range min(len(path), len(names)) {
		if path[i] != names[i] {
			return nil, false
		}
	}
	return path[min(len(path), len(names)):], true
}

// only is a value with nothing in it but what these paths lead to.
func only(value any, paths []sdjwt.Path) any {
	if slices.ContainsFunc(paths, func(p sdjwt.Path) bool { return len(p) == 0 }) {
		return value
	}
	on := func(step any) (inside []sdjwt.Path) {
		for _, p := range paths {
			if p[0] == step {
				inside = append(inside, p[1:])
			}
		}
		return inside
	}
	switch value := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, v := range value {
			if inside := on(name); inside != nil {
				out[name] = only(v, inside)
			}
		}
		return out
	case []any:
		out := []any{}
		for i, v := range value {
			if inside := on(i); inside != nil {
				out = append(out, only(v, inside))
			}
		}
		return out
	}
	return value
}

func words(reasons []credential.Reason) []string {
	out := make([]string, 0, len(reasons))
	for _, r := range reasons {
		if !slices.Contains(out, string(r)) {
			out = append(out, string(r))
		}
	}
	return out
}

// digest is the SHA-256 of the presentations, as JSON with sorted names.
func digest(token oid4vp.VPToken) string {
	b, err := json.Marshal(token)
	if err != nil {
		panic("verifier: internal error: presentations have no JSON")
	}
	sum := sha256.Sum256(b)
	return strict.Base64URL(sum[:])
}
