package chrometest

import (
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/webauthn"
)

// Passkeys are an authenticator that the page can use: one like those in telephones,
// which keeps passkeys, knows its user and needs no hand. A page in another tab has
// its own.
type Passkeys struct {
	p  *Page
	id webauthn.AuthenticatorID
}

// Passkeys gives the page an authenticator, empty at first.
func (p *Page) Passkeys() *Passkeys {
	p.t.Helper()
	call(p, webauthn.Enable, webauthn.EnableParams{})
	r := call(p, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
		HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
	}})
	return &Passkeys{p: p, id: r.AuthenticatorID}
}

// Count is how many passkeys it keeps.
func (k *Passkeys) Count() int {
	k.p.t.Helper()
	return len(k.credentials())
}

func (k *Passkeys) credentials() []*webauthn.Credential {
	k.p.t.Helper()
	return call(k.p, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: k.id}).Credentials
}

// Lose takes the authenticator away, with every passkey on it.
func (k *Passkeys) Lose() {
	k.p.t.Helper()
	call(k.p, webauthn.RemoveVirtualAuthenticator, webauthn.RemoveVirtualAuthenticatorParams{AuthenticatorID: k.id})
}

// KnowsUser sets whether it recognises the one who holds it, by finger or PIN.
func (k *Passkeys) KnowsUser(yes bool) {
	k.p.t.Helper()
	call(k.p, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: k.id, IsUserVerified: yes})
}

// CopyTo puts a copy of each passkey into the authenticator of another page, as a
// provider that syncs them does.
func (k *Passkeys) CopyTo(other *Passkeys) {
	k.p.t.Helper()
	for _, c := range k.credentials() {
		call(other.p, addCredential, newCredential{AuthenticatorID: other.id, Credential: credential{
			CredentialID: c.CredentialID, RpID: c.RpID, PrivateKey: c.PrivateKey, UserHandle: c.UserHandle, SignCount: c.SignCount, IsResidentCredential: true,
		}})
	}
}

// addCredential is webauthn.AddCredential without the fields that cdproto always
// sends and this kind of authenticator refuses.
var addCredential = cdp.Command[newCredential, cdp.Empty]{Method: webauthn.CommandAddCredential}

type newCredential struct {
	AuthenticatorID webauthn.AuthenticatorID `json:"authenticatorId"`
	Credential      credential               `json:"credential"`
}

type credential struct {
	CredentialID         []byte  `json:"credentialId"`
	IsResidentCredential bool    `json:"isResidentCredential"`
	RpID                 string  `json:"rpId"`
	PrivateKey           []byte  `json:"privateKey"`
	UserHandle           []byte  `json:"userHandle"`
	SignCount            float64 `json:"signCount"`
}
