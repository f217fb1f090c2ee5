package oid4vci

import (
	"errors"
	"slices"

	"github.com/sanad-id/sanad/keys"
)

// ServerMetadata is what an authorization server publishes about itself (RFC 8414
// section 2, RFC 9126 section 5, RFC 9207 section 3, RFC 9449 section 5.1, OpenID4VCI
// section 12.3, client attestation draft-10 section 8).
type ServerMetadata struct {
	// Issuer is the identifier of the server.
	Issuer string
	// TokenEndpoint must be set; the others are "" if there is none.
	TokenEndpoint, AuthorizationEndpoint, PAREndpoint, JWKSURI, ChallengeEndpoint string
	// RequirePAR says that every authorization request must be pushed.
	RequirePAR bool
	// GrantTypes are those it serves.
	GrantTypes []GrantType
	// ChallengeMethods are the ways of PKCE, such as [S256].
	ChallengeMethods []string
	// ClientAuth are the ways of client authentication at the token endpoint.
	ClientAuth []string
	// DPoPAlgorithms are those of DPoP proofs; none if there is no DPoP.
	DPoPAlgorithms []keys.Algorithm
	// AttestationAlgorithms and PoPAlgorithms are those of client attestations and
	// their proofs.
	AttestationAlgorithms, PoPAlgorithms []keys.Algorithm
	// Scopes and DetailTypes are what can be asked for.
	Scopes, DetailTypes []string
	// IssParameter says that authorization responses name their issuer.
	IssParameter bool
	// Anonymous says that a pre-authorized code can be redeemed without client_id.
	Anonymous bool
}

// JSON returns the metadata document.
func (m ServerMetadata) JSON() ([]byte, error) {
	if m.Issuer == "" || m.TokenEndpoint == "" {
		return nil, errors.New("oid4vci: ServerMetadata.Issuer or TokenEndpoint is not set")
	}
	out := map[string]any{"issuer": m.Issuer, "token_endpoint": m.TokenEndpoint}
	put(out, "authorization_endpoint", m.AuthorizationEndpoint)
	put(out, "pushed_authorization_request_endpoint", m.PAREndpoint)
	put(out, "jwks_uri", m.JWKSURI)
	put(out, "challenge_endpoint", m.ChallengeEndpoint)
	putList(out, "grant_types_supported", m.GrantTypes)
	putList(out, "code_challenge_methods_supported", m.ChallengeMethods)
	putList(out, "token_endpoint_auth_methods_supported", m.ClientAuth)
	putList(out, "dpop_signing_alg_values_supported", m.DPoPAlgorithms)
	putList(out, "client_attestation_signing_alg_values_supported", m.AttestationAlgorithms)
	putList(out, "client_attestation_pop_signing_alg_values_supported", m.PoPAlgorithms)
	putList(out, "scopes_supported", m.Scopes)
	putList(out, "authorization_details_types_supported", m.DetailTypes)
	// RFC 8414 section 2: required, and left out where there is no authorization endpoint.
	// Without modes a reader takes it that fragment is one of them.
	if m.AuthorizationEndpoint != "" {
		out["response_types_supported"], out["response_modes_supported"] = []any{"code"}, []any{"query"}
	}
	out["require_pushed_authorization_requests"] = m.RequirePAR
	out["authorization_response_iss_parameter_supported"] = m.IssParameter
	out["pre-authorized_grant_anonymous_access_supported"] = m.Anonymous
	return write(out)
}

// ServerMetadata reads the metadata of the authorization server with this identifier,
// which must be what the document names, byte for byte (RFC 8414 section 3.3).
func (r Reader) ServerMetadata(b []byte, issuer string) (*ServerMetadata, error) {
	in := readObject(metadataLimits, b, "authorization server metadata", InvalidRequest)
	m := &ServerMetadata{
		Issuer:                in.mustText("issuer", maxURL),
		TokenEndpoint:         r.url(in, "token_endpoint"),
		AuthorizationEndpoint: r.url(in, "authorization_endpoint"),
		PAREndpoint:           r.url(in, "pushed_authorization_request_endpoint"),
		JWKSURI:               r.url(in, "jwks_uri"),
		ChallengeEndpoint:     r.url(in, "challenge_endpoint"),
		ChallengeMethods:      in.texts("code_challenge_methods_supported", maxEntries, maxName),
		ClientAuth:            in.texts("token_endpoint_auth_methods_supported", maxEntries, maxName),
		DPoPAlgorithms:        algorithms(in, "dpop_signing_alg_values_supported"),
		AttestationAlgorithms: algorithms(in, "client_attestation_signing_alg_values_supported"),
		PoPAlgorithms:         algorithms(in, "client_attestation_pop_signing_alg_values_supported"),
		Scopes:                in.texts("scopes_supported", maxConfigurations, maxName),
		DetailTypes:           in.texts("authorization_details_types_supported", maxEntries, maxName),
	}
	m.RequirePAR, _ = in.flag("require_pushed_authorization_requests")
	m.IssParameter, _ = in.flag("authorization_response_iss_parameter_supported")
	m.Anonymous, _ = in.flag("pre-authorized_grant_anonymous_access_supported")
	for _, g := range in.texts("grant_types_supported", maxEntries, maxName) {
		m.GrantTypes = append(m.GrantTypes, GrantType(g))
	}
	if m.GrantTypes == nil {
		m.GrantTypes = []GrantType{AuthorizationCode, "implicit"} // RFC 8414 section 2
	}
	if in.err == nil && m.Issuer != issuer {
		return nil, refuse(InvalidRequest, ErrIssuer, "metadata of another authorization server")
	}
	if in.err == nil && r.CheckIdentifier(issuer) != nil {
		in.fail(ErrURL, "the identifier of the authorization server is no address that may be asked")
	}
	in.need("token_endpoint", m.TokenEndpoint != "")
	if in.err != nil {
		return nil, in.err
	}
	return m, nil
}

// algorithms reads a list of algorithms and keeps those that we carry.
func algorithms(in *object, name string) []keys.Algorithm {
	var list []keys.Algorithm
	for _, s := range in.texts(name, maxEntries, maxName) {
		if a, err := keys.ParseAlgorithm(s); err == nil {
			list = append(list, a)
		}
	}
	return list
}

// CheckCodeFlow says what an authorization server lacks for the authorization code
// flow as our wallet does it (HAIP 1.0 section 4): pushed requests, PKCE with S256,
// DPoP and responses that name their issuer (corpus OA-02, OA-04).
func (m *ServerMetadata) CheckCodeFlow() error {
	lacks := func(what string) error {
		return refuse(InvalidRequest, ErrUnsupported, "the authorization server has no %s", what)
	}
	switch {
	case !slices.Contains(m.GrantTypes, AuthorizationCode), m.AuthorizationEndpoint == "":
		return lacks("authorization code flow")
	case m.PAREndpoint == "":
		return lacks("pushed authorization requests")
	case !slices.Contains(m.ChallengeMethods, S256):
		return lacks("PKCE with S256")
	case !m.IssParameter:
		return lacks("iss in authorization responses")
	case len(m.DPoPAlgorithms) == 0:
		return lacks("DPoP with an algorithm that is known here")
	}
	return nil
}
