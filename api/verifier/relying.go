package verifier

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/oid4vp"
	"github.com/sanad-id/sanad/qr/image"
	"github.com/sanad-id/sanad/store/once"
	"github.com/sanad-id/sanad/store/parties"
	"github.com/sanad-id/sanad/verification"
)

// An ask is the body of POST /requests.
type ask struct {
	policy   string
	claims   map[string][]string
	data     []askedData
	returnTo string
	browser  string
	receipt  bool
}

type askedData struct {
	kind   string
	fields map[string]any
}

// A Created is the answer to POST /requests.
type Created struct {
	// ID is the relying party's secret: who has it gets the result.
	ID string `json:"id"`
	// Handle names the request in receipts and webhooks.
	Handle string `json:"handle"`
	// Link calls any wallet, HAIPLink one of the profile HAIP.
	Link     string `json:"link"`
	HAIPLink string `json:"haip_link"`
	// QR is the link as a picture, a data: address of a PNG; "" if it is too long.
	QR string `json:"qr,omitempty"`
	// Expires is until when it can be answered.
	Expires time.Time `json:"expires"`
}

// create makes a request for a named policy.
func (s *Service) create(w http.ResponseWriter, r *http.Request, who *APIKey) error {
	a, err := readAsk(r)
	if err != nil {
		return err
	}
	p := s.Policies[a.policy]
	if p == nil || !who.may(a.policy) {
		return web.Refuse(http.StatusNotFound, "unknown_policy", "there is no such policy for this relying party")
	}
	id, err := oid4vp.NewSecret(s.Rand)
	if err != nil {
		return err
	}
	request, err := oid4vp.NewSecret(s.Rand)
	if err != nil {
		return err
	}
	tx, err := s.begin(p, a, who, id, request)
	if err != nil {
		return err
	}
	if err := s.store(r.Context(), p, tx, id, request); errors.Is(err, once.ErrFull) || errors.Is(err, errQueue) {
		return errFull
	} else if err != nil {
		return err
	}
	c := Created{ID: id, Handle: tx.Handle, Expires: time.Unix(tx.Expires, 0).UTC()}
	if c.Link, err = s.link(tx, request, oid4vp.Scheme); err != nil {
		return err
	}
	if c.HAIPLink, err = s.link(tx, request, oid4vp.HAIPScheme); err != nil {
		return err
	}
	if code, err := image.Draw(c.Link, image.M); err == nil {
		png, err := code.PNG(4)
		if err != nil {
			return err
		}
		c.QR = "data:image/png;base64," + base64.StdEncoding.EncodeToString(png)
	}
	return web.JSON(w, http.StatusCreated, c)
}

// begin makes the transaction; what is asked beyond the policy is refused.
func (s *Service) begin(p *Policy, a *ask, who *APIKey, id, request string) (*transaction, error) {
	now := s.Now().Truncate(time.Second)
	query, err := p.less(a.claims)
	if errors.Is(err, errOverAsking) {
		return nil, web.Refuse(http.StatusForbidden, "over_asking", "the policy %s does not name all claims of this request", p.ID)
	} else if err != nil {
		return nil, web.Refuse(http.StatusBadRequest, "bad_request", "the claims of this request make no query")
	}
	data, err := p.transaction(a.data)
	if err != nil {
		return nil, err
	}
	switch {
	case a.returnTo == "" && a.browser == "":
	case !slices.Contains(p.ReturnTo, a.returnTo):
		return nil, web.Refuse(http.StatusForbidden, "return_to", "the policy %s does not name this return_to", p.ID)
	case len(a.browser) < 16:
		return nil, web.Refuse(http.StatusBadRequest, "browser", "with return_to comes browser: what tells this browser from others, such as the digest of its cookie, of at least 16 characters")
	}
	sec := s.secrets(s.responseSecret(request))
	sig, err := s.Signature(s.Now())
	if err != nil {
		return nil, err
	}
	client, err := s.client(p, sig, s.URL+"/response/"+sec.response)
	if err != nil {
		return nil, err
	}
	tx := &transaction{
		Handle: handle(id), Policy: p.ID, Version: p.Version, Owner: who.Name, Client: client.String(), Data: data,
		Created: now.Unix(), Expires: now.Add(p.Lifetime).Unix(), Until: now.Add(p.Lifetime + p.ResultLifetime).Unix(),
		ReturnTo: a.returnTo, Receipt: a.receipt,
	}
	if s.Once.Durable() {
		private, err := box(id)
		if err != nil {
			return nil, err
		}
		tx.Box = private.PublicKey().Bytes()
	}
	if a.browser != "" {
		sum := sha256.Sum256([]byte(a.browser))
		tx.Browser = sum[:]
	}
	tx.Query, err = query.JSON()
	return tx, err
}

// store keeps a transaction under the secrets that lead to it.
func (s *Service) store(ctx context.Context, p *Policy, tx *transaction, id, request string) error {
	sec := s.secrets(s.responseSecret(request))
	var values []once.Value
	for _, v := range []struct {
		key     once.Key
		expires int64
	}{
		{once.KeyOf(once.Request, request), tx.Expires}, {once.KeyOf(once.Response, sec.response), tx.Expires},
		{once.KeyOf(once.PresentationNonce, sec.nonce), tx.Expires}, {once.KeyOf(once.Result, id), tx.Until},
	} {
		next, err := value(v.key, v.expires, tx)
		if err != nil {
			return err
		}
		values = append(values, next)
	}
	if p.Webhook != "" {
		if err := s.enqueue(ctx, tx); err != nil {
			return err
		}
	}
	return s.Once.Put(ctx, values...)
}

// transaction makes the transaction data of a request, as the policy has it.
func (p *Policy) transaction(asked []askedData) ([]string, error) {
	var out []string
	seen := map[string]bool{}
	for _, a := range asked {
		i := slices.IndexFunc(p.Transactions, func(t TransactionRule) bool { return t.Type == a.kind })
		if i < 0 || seen[a.kind] {
			return nil, web.Refuse(http.StatusForbidden, "over_asking", "the policy %s does not name this transaction data", p.ID)
		}
		rule := p.Transactions[i]
		seen[a.kind] = true
		for name := range a.fields {
			if !slices.Contains(rule.Fields, name) {
				return nil, web.Refuse(http.StatusForbidden, "over_asking", "the policy %s does not name this field of transaction data", p.ID)
			}
		}
		if len(a.fields) != len(rule.Fields) {
			return nil, web.Refuse(http.StatusBadRequest, "transaction_data", "a field of the transaction data is missing")
		}
		d, err := oid4vp.NewTransactionData(rule.Type, rule.Credentials, a.fields)
		if err != nil {
			return nil, web.Refuse(http.StatusBadRequest, "transaction_data", "the transaction data cannot be written")
		}
		out = append(out, d.Encoded())
	}
	for _, rule := range p.Transactions {
		if rule.Required && !seen[rule.Type] {
			return nil, web.Refuse(http.StatusBadRequest, "transaction_data", "the policy %s needs transaction data", p.ID)
		}
	}
	return out, nil
}

// readAsk reads the body of POST /requests. A member that is not known is refused.
func readAsk(r *http.Request) (*ask, error) {
	v, err := web.ReadJSON(r, 6, 2000)
	if err != nil {
		return nil, err
	}
	m, ok := v.Any().(map[string]any)
	if !ok {
		return nil, badAsk("the body is no object")
	}
	a := &ask{claims: map[string][]string{}}
	for name, v := range m {
		good := true
		switch name {
		case "policy":
			a.policy, good = v.(string)
		case "return_to":
			a.returnTo, good = v.(string)
		case "browser":
			a.browser, good = v.(string)
		case "receipt":
			a.receipt, good = v.(bool)
		case "claims":
			good = a.readClaims(v)
		case "transaction_data":
			good = a.readData(v)
		default:
			return nil, badAsk("a member is not known")
		}
		if !good {
			return nil, badAsk("the member " + name + " is not of its kind")
		}
	}
	return a, nil
}

func badAsk(text string) error { return web.Refuse(http.StatusBadRequest, "bad_request", "%s", text) }

func (a *ask) readClaims(v any) bool {
	m, ok := v.(map[string]any)
	for id, list := range m {
		names, isList := list.([]any)
		ok = ok && isList
		a.claims[id] = []string{}
		for _, n := range names {
			text, isText := n.(string)
			ok = ok && isText
			a.claims[id] = append(a.claims[id], text)
		}
	}
	return ok
}

func (a *ask) readData(v any) bool {
	list, ok := v.([]any)
	for _, e := range list {
		m, isMap := e.(map[string]any)
		kind, isText := m["type"].(string)
		fields, hasFields := m["fields"].(map[string]any)
		ok = ok && isMap && isText && hasFields && len(m) == 2
		a.data = append(a.data, askedData{kind, fields})
	}
	return ok
}

// A State is the answer to GET /requests/{id}.
type State struct {
	// Status is waiting, answered, refused or expired.
	Status string `json:"status"`
	// Result is there when it is answered; in the flow on one device it is asked for
	// with the response code.
	Result json.RawMessage `json:"result,omitempty"`
}

// own finds the transaction of a relying party.
func (s *Service) own(r *http.Request, who *APIKey) (*transaction, error) {
	tx, err := s.find(r.Context(), once.Result, r.PathValue("id"))
	if err == nil && tx.Owner != who.Name {
		return nil, errUnknown // another relying party's
	}
	return tx, err
}

// outcome is what became of a transaction, nil if nothing yet.
func (s *Service) outcome(ctx context.Context, tx *transaction) (*outcome, error) {
	k := outcomeKey(tx.Handle)
	v, err := s.Once.Get(ctx, s.Now(), k.Kind, k.Digest)
	if errors.Is(err, once.ErrNone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	o := new(outcome)
	if err := json.Unmarshal(v.Data, o); err != nil {
		return nil, fmt.Errorf("read an outcome: %w", err)
	}
	return o, nil
}

func (s *Service) look(ctx context.Context, tx *transaction, id string) (*State, error) {
	o, err := s.outcome(ctx, tx)
	switch {
	case err != nil:
		return nil, err
	case o == nil && s.Now().Unix() >= tx.Expires:
		return &State{Status: "expired"}, nil
	case o == nil:
		return &State{Status: "waiting"}, nil
	}
	st := &State{Status: wordAnswered}
	if o.Verdict == wordRefused {
		st.Status = wordRefused
	}
	if tx.ReturnTo == "" {
		st.Result, err = s.disclose(o, id)
	}
	return st, err
}

// state answers where a request stands.
func (s *Service) state(w http.ResponseWriter, r *http.Request, who *APIKey) error {
	tx, err := s.own(r, who)
	if err != nil {
		return err
	}
	st, err := s.look(r.Context(), tx, r.PathValue("id"))
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, st)
}

// events sends an event state with every change, the last when nothing more can
// change.
func (s *Service) events(w http.ResponseWriter, r *http.Request, who *APIKey) error {
	tx, err := s.own(r, who)
	if err != nil {
		return err
	}
	stream, err := web.NewEvents(w)
	if err != nil {
		return err
	}
	tick := time.NewTicker(s.Watch)
	defer tick.Stop()
	told, quiet := "", time.Now()
	for {
		st, err := s.look(r.Context(), tx, r.PathValue("id"))
		if err != nil {
			return err
		}
		if st.Status != told {
			b, err := json.Marshal(st)
			if err != nil {
				return err
			}
			if err := stream.Send("state", b); err != nil {
				return err
			}
			told, quiet = st.Status, time.Now()
		}
		if st.Status != "waiting" {
			return nil
		}
		if time.Since(quiet) > 10*time.Second {
			if err := stream.Ping(); err != nil {
				return err
			}
			quiet = time.Now()
		}
		select {
		case <-tick.C:
		case <-web.Closing(r.Context()):
			return nil
		case <-r.Context().Done():
			return nil
		}
	}
}

// exchange gives the result of the flow on one device for the response code that the
// browser brought, if it is the browser that the relying party began with (OpenID4VP
// 1.0 section 13.3). A code works once.
func (s *Service) exchange(w http.ResponseWriter, r *http.Request, who *APIKey) error {
	tx, err := s.own(r, who)
	if err != nil {
		return err
	}
	v, err := web.ReadJSON(r, 2, 8)
	if err != nil {
		return err
	}
	code, okCode := v.Get("response_code").Text()
	browser, okBrowser := v.Get("browser").Text()
	if !okCode || !okBrowser || v.Len() != 2 {
		return badAsk("the body is {response_code, browser}")
	}
	refused := web.Refuse(http.StatusForbidden, "wrong_code", "the response code or the browser is not that of this request, or the code was used")
	sum := sha256.Sum256([]byte(browser))
	if tx.ReturnTo == "" || subtle.ConstantTimeCompare(sum[:], tx.Browser) != 1 {
		return refused
	}
	// The code is used up last, so that it is not gone for an answer that cannot be given.
	o, err := s.outcome(r.Context(), tx)
	if err != nil {
		return err
	}
	if o == nil {
		return refused // it was not answered: there is no code yet
	}
	plain, err := s.disclose(o, r.PathValue("id"))
	if err != nil {
		return err
	}
	_, err = s.Once.Exchange(r.Context(), s.Now(), []once.Key{once.KeyOf(once.ResponseCode, tx.Handle, code)}, nil)
	switch {
	case errors.Is(err, once.ErrNone):
		return refused
	case err != nil:
		return err
	}
	return web.JSON(w, http.StatusOK, json.RawMessage(plain))
}

// copies verifies SD-JWTs that answer no request: any copy may be one.
type copies struct {
	oldType bool
	now     func() time.Time
}

// Verify implements [verification.Format].
func (c copies) Verify(message []byte, keys verification.IssuerKeys) (*credential.Verified, error) {
	return sdjwt.Verify(sdjwt.Unbound(string(message)), sdjwt.Expect{Keys: keys, Now: c.now(), Binding: sdjwt.BindingRefused, OldType: c.oldType, LeaveDates: true})
}

// verify judges any proof. The answer is the report of `verifier check --json`; with
// ?receipt=true it is that and a receipt.
func (s *Service) verify(w http.ResponseWriter, r *http.Request, who *APIKey) error {
	q, err := web.Query(r)
	if err != nil {
		return err
	}
	receipt := q.Get("receipt") == "true"
	if len(q) > 1 || len(q) == 1 && !receipt {
		return badAsk("the query may be receipt=true")
	}
	proof, err := readProof(r)
	if err != nil {
		return err
	}
	now := s.Now()
	in := ReadProof(proof)
	c, err := s.checker(r.Context(), now, copies{s.OldType, func() time.Time { return now }}, in.Data)
	if err != nil {
		return err
	}
	report := in.Judge(c)
	s.learn(report)
	s.verdicts.Add(string(report.Verdict))
	s.ledger.count(who.Name, parties.KindProof, "", string(report.Verdict))
	if !receipt {
		return web.JSON(w, http.StatusOK, report)
	}
	sum := sha256.Sum256(proof)
	text, err := s.sign("sanad-receipt+jwt", map[string]any{
		"iss": s.URL, "iat": now.Unix(), "digest": strict.Base64URL(sum[:]), "verdict": string(report.Verdict), "reasons": anys(words(report.Reasons())),
	}, now)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, struct {
		Report  verification.Report `json:"report"`
		Receipt string              `json:"receipt"`
	}{report, text})
}

// readProof reads the body, or the one file of a form.
func readProof(r *http.Request) ([]byte, error) {
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "multipart/form-data" {
		b, err := web.Body(r)
		if err == nil && len(b) == 0 {
			err = badAsk("there is no proof in the body")
		}
		return b, err
	}
	bad := badAsk("the form must have one part, called proof")
	parts := multipart.NewReader(r.Body, params["boundary"])
	part, err := parts.NextPart()
	if err != nil || part.FormName() != "proof" {
		return nil, asTooLarge(err, bad)
	}
	b, err := io.ReadAll(part)
	if err != nil {
		return nil, asTooLarge(err, bad)
	}
	if _, err := parts.NextPart(); !errors.Is(err, io.EOF) || len(b) == 0 {
		return nil, asTooLarge(err, bad)
	}
	return b, nil
}

// asTooLarge keeps the error of a body that is too long.
func asTooLarge(err, otherwise error) error {
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return e
	}
	return otherwise
}
