package console

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/store/desk"
)

// What a ceremony is for (WebAuthn Level 3).
const (
	forSignIn  = "sign-in"
	forConfirm = "confirm"
	forEnrol   = "enrol"
	forAdd     = "add"
)

const (
	// ceremonyLifetime is how long a person has to use the passkey.
	ceremonyLifetime = 2 * time.Minute
	// maxGuesses in guessWindow are the attempts with one passkey that fail.
	maxGuesses, guessWindow = 10, 15 * time.Minute
)

// Why a passkey is refused. All but the last three are one to who asks.
var (
	errRefused   = errors.New("console: the passkey is refused")
	errManyTries = errors.New("console: too many attempts with one passkey")
	errSyncable  = errors.New("console: the passkey could leave its device, and the role must not have that")
	errTaken     = errors.New("console: the passkey is registered already")
)

// algorithms are those that a passkey may sign with: ES256, EdDSA, and RS256 for the
// security chips of older computers.
var algorithms = []webauthncose.COSEAlgorithmIdentifier{webauthncose.AlgES256, webauthncose.AlgEdDSA, webauthncose.AlgRS256}

func (c *Console) newPasskeys() (*webauthn.WebAuthn, error) {
	u, err := url.Parse(c.cfg.Origin)
	if err != nil {
		return nil, err
	}
	return webauthn.New(&webauthn.Config{
		RPID: u.Hostname(), RPDisplayName: c.cfg.Names["en"], RPOrigins: []string{c.cfg.Origin},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: protocol.ResidentKeyRequired(),
			UserVerification: protocol.VerificationRequired,
		},
		Timeouts: webauthn.TimeoutsConfig{
			Login:        webauthn.TimeoutConfig{Timeout: ceremonyLifetime, TimeoutUVD: ceremonyLifetime},
			Registration: webauthn.TimeoutConfig{Timeout: ceremonyLifetime, TimeoutUVD: ceremonyLifetime},
		},
	})
}

// A holder is an operator as the ceremonies know them. The user handle is the random
// id, which says nothing about the person.
type holder struct {
	op   staff.Operator
	keys []webauthn.Credential
}

func (h holder) WebAuthnID() []byte                         { return []byte(h.op.ID) }
func (h holder) WebAuthnName() string                       { return h.op.Name }
func (h holder) WebAuthnDisplayName() string                { return h.op.Name }
func (h holder) WebAuthnCredentials() []webauthn.Credential { return h.keys }

// holder loads an operator's passkeys, without those that are locked.
func (c *Console) holder(ctx context.Context, op staff.Operator) (holder, error) {
	all, err := c.cfg.Desk.Passkeys(ctx, op.ID)
	if err != nil {
		return holder{}, away("people", err)
	}
	h := holder{op: op}
	for _, k := range all {
		var key webauthn.Credential
		if k.Locked || json.Unmarshal(k.Data, &key) != nil || len(key.ID) == 0 {
			continue
		}
		h.keys = append(h.keys, key)
	}
	return h, nil
}

// An offered ceremony is what the script gets to begin with.
type offered struct {
	// Ceremony is a secret that leads to what was kept here.
	Ceremony string `json:"ceremony"`
	Options  any    `json:"options"`
}

// offer keeps what the answer is compared with and answers with the question.
func (c *Console) offer(w http.ResponseWriter, r *request, kind, operator string, s *webauthn.SessionData, options any) error {
	kept, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode a ceremony: %w", err)
	}
	var b [32]byte
	rand.Read(b[:])
	secret := base64.RawURLEncoding.EncodeToString(b[:])
	err = c.cfg.Desk.SaveCeremony(r.Context(), secret, desk.Ceremony{Kind: kind, Operator: operator, Data: kept, Expires: c.now().Add(ceremonyLifetime)})
	if err != nil {
		return away("ceremonies", err)
	}
	return web.JSON(w, http.StatusOK, offered{secret, options})
}

// An answer of the script, when the passkey was used.
type answer struct {
	Ceremony string          `json:"ceremony"`
	Response json.RawMessage `json:"response"`
	Name     string          `json:"name"`
	Next     string          `json:"next"`
}

// ours reports whether a browser said that it was on a page of this console. The
// library compares less.
func (c *Console) ours(d protocol.CollectedClientData) bool {
	return d.Origin == c.cfg.Origin && !d.CrossOrigin && d.TopOrigin == ""
}

// readAnswer reads the body and takes the ceremony that it answers, which is then gone
// whatever the answer is.
func (c *Console) readAnswer(r *request, kind, operator string) (answer, *webauthn.SessionData, error) {
	var a answer
	b, err := web.Body(r.Request)
	if err != nil {
		return a, nil, err
	}
	if _, err := (strict.Limits{Bytes: maxForm, Depth: 8, Items: 256}).JSON(b); err != nil {
		return a, nil, errRefused
	}
	if err := json.Unmarshal(b, &a); err != nil {
		return a, nil, errRefused
	}
	kept, err := c.cfg.Desk.TakeCeremony(r.Context(), a.Ceremony, kind, c.now())
	if errors.Is(err, desk.ErrNone) {
		return a, nil, errRefused
	}
	if err != nil {
		return a, nil, away("ceremonies", err)
	}
	var s webauthn.SessionData
	if kept.Operator != operator || json.Unmarshal(kept.Data, &s) != nil {
		return a, nil, errRefused
	}
	s.Expires = time.Time{} // TakeCeremony has asked our clock
	return a, &s, nil
}

// askSignIn is the question to whoever comes: any passkey of this console.
func (c *Console) askSignIn(w http.ResponseWriter, r *request) error {
	options, s, err := c.passkeys.BeginDiscoverableMediatedLogin(protocol.MediationDefault, webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return err
	}
	return c.offer(w, r, forSignIn, "", s, options.Response)
}

// signIn begins a session for whoever used a passkey.
func (c *Console) signIn(w http.ResponseWriter, r *request) error {
	a, s, err := c.readAnswer(r, forSignIn, "")
	if err != nil {
		return err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(a.Response)
	if err != nil || !c.ours(parsed.Response.CollectedClientData) {
		return c.refuseKey(r, err)
	}
	var who holder
	find := func(_, handle []byte) (webauthn.User, error) {
		op, err := c.cfg.Desk.Operator(r.Context(), string(handle))
		if err != nil {
			return nil, err
		}
		if op.Standing != staff.Active {
			return nil, errRefused
		}
		if who, err = c.holder(r.Context(), op); err != nil {
			return nil, err
		}
		return who, c.guess(r, who, parsed.RawID)
	}
	_, key, err := c.passkeys.ValidatePasskeyLogin(find, *s, parsed)
	if err != nil {
		return c.refuseKey(r, err)
	}
	if err := c.used(r, who.op, key); err != nil {
		return err
	}
	if err := c.begin(w, r, who.op); err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]string{"to": backTo(a.Next)})
}

// guess counts an attempt with a passkey that an operator has, before it is looked at
// whether it is good.
func (c *Console) guess(r *request, h holder, id []byte) error {
	if !slices.ContainsFunc(h.keys, func(k webauthn.Credential) bool { return string(k.ID) == string(id) }) {
		return errRefused
	}
	ok, err := c.cfg.Desk.Attempt(r.Context(), id, maxGuesses, guessWindow, c.now())
	if err != nil {
		return away("people", err)
	}
	if !ok {
		return errManyTries
	}
	return nil
}

// refuseKey hides why a passkey was refused, but for what the person can do something
// about. The library's reasons name no one and go into the log.
func (c *Console) refuseKey(r *request, err error) error {
	if a, ok := errors.AsType[*awayError](err); ok {
		return a
	}
	if errors.Is(err, errManyTries) {
		return errManyTries
	}
	kind := "refused"
	if e, ok := errors.AsType[*protocol.Error](err); ok {
		kind = e.Type
	}
	c.cfg.Log.InfoContext(r.Context(), "a passkey was refused", "reason", kind, "request_id", web.RequestID(r.Context()))
	return errRefused
}

// used notes that a passkey was used. One whose counter went back is locked: there may
// be a copy of it (WebAuthn Level 3 section 6.1.1).
func (c *Console) used(r *request, op staff.Operator, key *webauthn.Credential) error {
	all, err := c.cfg.Desk.Passkeys(r.Context(), op.ID)
	if err != nil {
		return away("people", err)
	}
	i := slices.IndexFunc(all, func(k staff.Passkey) bool { return string(k.ID) == string(key.ID) })
	if i < 0 || all[i].Locked {
		return errRefused
	}
	k := all[i]
	old := k.Data
	k.Locked = key.Authenticator.CloneWarning
	if k.Data, err = json.Marshal(key); err != nil {
		return err
	}
	note := func(ctx context.Context) error { return c.cfg.Desk.UsedPasskey(ctx, k, old, c.now()) }
	if k.Locked {
		err = c.actAs(r.Context(), op.ID, deed{Action: deedLocked, Subject: op.ID}, note)
	} else {
		err = note(r.Context())
	}
	if errors.Is(err, desk.ErrNone) || err == nil && k.Locked {
		return errRefused
	}
	if err != nil {
		return away("people", err)
	}
	if err := c.cfg.Desk.Forgive(r.Context(), k.ID); err != nil {
		return away("people", err)
	}
	return nil
}

// askConfirm is the question to who is signed in.
func (c *Console) askConfirm(w http.ResponseWriter, r *request) error {
	h, err := c.holder(r.Context(), r.Operator)
	if err != nil {
		return err
	}
	options, s, err := c.passkeys.BeginMediatedLogin(h, protocol.MediationDefault, webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return c.refuseKey(r, err) // no passkey that is good
	}
	return c.offer(w, r, forConfirm, r.Operator.ID, s, options.Response)
}

// confirm makes the session fresh.
func (c *Console) confirm(w http.ResponseWriter, r *request) error {
	a, s, err := c.readAnswer(r, forConfirm, r.Operator.ID)
	if err != nil {
		return err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(a.Response)
	if err != nil || !c.ours(parsed.Response.CollectedClientData) {
		return c.refuseKey(r, err)
	}
	h, err := c.holder(r.Context(), r.Operator)
	if err != nil {
		return err
	}
	if err := c.guess(r, h, parsed.RawID); err != nil {
		return err
	}
	key, err := c.passkeys.ValidateLogin(h, *s, parsed)
	if err != nil {
		return c.refuseKey(r, err)
	}
	if err := c.used(r, r.Operator, key); err != nil {
		return err
	}
	if err := c.freshen(w, r); err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]string{"to": ""})
}

// askRegister is the question for a new passkey of an operator.
func (c *Console) askRegister(w http.ResponseWriter, r *request, kind string, op staff.Operator) error {
	h, err := c.holder(r.Context(), op)
	if err != nil {
		return err
	}
	var parameters []protocol.CredentialParameter
	for _, a := range algorithms {
		parameters = append(parameters, protocol.CredentialParameter{Type: protocol.PublicKeyCredentialType, Algorithm: a})
	}
	options, s, err := c.passkeys.BeginMediatedRegistration(h, protocol.MediationDefault,
		webauthn.WithCredentialParameters(parameters), webauthn.WithExclusions(webauthn.Credentials(h.keys).CredentialDescriptors()))
	if err != nil {
		return err
	}
	return c.offer(w, r, kind, op.ID, s, options.Response)
}

// register checks the answer with a new passkey of an operator.
func (c *Console) register(r *request, kind string, op staff.Operator) (staff.Passkey, error) {
	a, s, err := c.readAnswer(r, kind, op.ID)
	if err != nil {
		return staff.Passkey{}, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(a.Response)
	if err != nil || !c.ours(parsed.Response.CollectedClientData) {
		return staff.Passkey{}, c.refuseKey(r, err)
	}
	// We ask for no attestation. What comes all the same may say that it attests itself;
	// certificates are not looked at, so none are taken.
	statement := parsed.Response.AttestationObject
	if _, chain := statement.AttStatement["x5c"]; chain || statement.Format != "none" && statement.Format != "packed" {
		return staff.Passkey{}, c.refuseKey(r, errRefused)
	}
	h, err := c.holder(r.Context(), op)
	if err != nil {
		return staff.Passkey{}, err
	}
	key, err := c.passkeys.CreateCredential(h, *s, parsed)
	if err != nil {
		return staff.Passkey{}, c.refuseKey(r, err)
	}
	if key.Flags.BackupEligible && slices.ContainsFunc(op.Roles, func(role staff.Role) bool { return slices.Contains(c.cfg.DeviceBound, role) }) {
		return staff.Passkey{}, errSyncable
	}
	name, err := staff.CheckName(a.Name)
	if err != nil {
		name = r.Lang.Text("staff.passkey.unnamed", nil)
	}
	data, err := json.Marshal(key)
	return staff.Passkey{ID: key.ID, Operator: op.ID, Name: name, Data: data}, err
}
