package wallet

import (
	"context"
	"net/url"
	"strings"

	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/oid4vci"
)

// A session is the key that tokens are bound to, with the last nonce of each server
// (RFC 9449 section 8.2: those of the two servers are different ones).
type session struct {
	key    []byte // as the keyring knows it
	signer keys.Signer
	nonces map[string]string
}

func (a *Agent) newSession() (*session, error) {
	key, signer, err := a.cfg.Keys.New()
	if err != nil {
		return nil, err
	}
	return &session{key, signer, map[string]string{}}, nil
}

func (a *Agent) restoreSession(key []byte) (*session, error) {
	signer, err := a.cfg.Keys.Signer(key)
	if err != nil {
		return nil, err
	}
	return &session{key, signer, map[string]string{}}, nil
}

// post sends a POST with a DPoP proof, at a resource server with the access token. If
// the server wants a nonce in the proof, it is sent once more with that.
func (a *Agent) post(ctx context.Context, s *session, address, contentType string, body []byte, token oid4vci.Secret) (Answer, error) {
	if err := a.mayAsk(address); err != nil {
		return Answer{}, err
	}
	u, err := url.Parse(address)
	if err != nil {
		return Answer{}, refuse(UnsafeAddress, "not an address of a server")
	}
	server := u.Host
	if token != "" {
		server += " resource"
	}
	for again := false; ; again = true {
		proof, err := oid4vci.MakeDPoP(a.cfg.Rand, s.signer, oid4vci.DPoPRequest{
			Method: "POST", URL: address, Now: a.now(), Nonce: s.nonces[server], AccessToken: token,
		})
		if err != nil {
			return Answer{}, err
		}
		header := map[string]string{oid4vci.DPoPHeader: proof}
		if token != "" {
			header["Authorization"] = string(oid4vci.TokenResponse{AccessToken: token, Type: oid4vci.DPoPToken}.Authorization())
		}
		answer, err := a.send(ctx, Request{
			Address: address, Type: contentType, Accept: oid4vci.JSONType + ", " + oid4vci.JWTType, Header: header, Body: body,
			MaxBytes: oid4vci.MaxCredentialResponse,
		})
		if err != nil {
			return answer, err
		}
		fresh := answer.header(oid4vci.DPoPNonceHeader)
		if len(fresh) > 1024 {
			fresh = ""
		}
		if fresh != "" {
			s.nonces[server] = fresh
		}
		if again || fresh == "" || !wantsNonce(answer) {
			return answer, nil
		}
	}
}

// wantsNonce reports whether a server asks for a proof with its nonce: in the body at an
// authorization server, in a header at a resource server (RFC 9449 sections 8 and 9).
func wantsNonce(a Answer) bool {
	if a.Status != 400 && a.Status != 401 {
		return false
	}
	return strings.Contains(a.header("WWW-Authenticate"), string(oid4vci.UseDPoPNonce)) ||
		oid4vci.ReadError(a.Status, a.Body).Code == oid4vci.UseDPoPNonce
}
