package oid4vci

// A GrantType is a way to obtain an access token.
type GrantType string

// The grant types.
const (
	// AuthorizationCode: RFC 6749 section 4.1.
	AuthorizationCode GrantType = "authorization_code"
	// PreAuthorizedCode: OpenID4VCI section 3.5.
	PreAuthorizedCode GrantType = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
	// RefreshToken: RFC 6749 section 6.
	RefreshToken GrantType = "refresh_token"
)

// Values of typ.
const (
	// ProofTyp: OpenID4VCI appendix F.1.
	ProofTyp = "openid4vci-proof+jwt"
	// KeyAttestationTyp: OpenID4VCI appendix D.1.
	KeyAttestationTyp = "key-attestation+jwt"
	// MetadataTyp: OpenID4VCI section 12.2.3. There is no 4 in it.
	MetadataTyp = "openidvci-issuer-metadata+jwt"
	// DPoPTyp: RFC 9449 section 4.2.
	DPoPTyp = "dpop+jwt"
	// ClientAttestationTyp: client attestation draft-10 section 4.
	ClientAttestationTyp = "oauth-client-attestation+jwt"
	// ClientAttestationPoPTyp: client attestation draft-10 section 5.1.
	ClientAttestationPoPTyp = "oauth-client-attestation-pop+jwt"
)

// Media types.
const (
	// JSONType is that of every message that is not encrypted or signed.
	JSONType = "application/json"
	// JWTType is that of encrypted messages (section 10) and of signed metadata
	// (section 12.2.2).
	JWTType = "application/jwt"
	// FormType is that of requests to the authorization server (RFC 6749 section 4.1.3).
	FormType = "application/x-www-form-urlencoded"
)

// Well-known names, for [WellKnown].
const (
	// IssuerWellKnown: OpenID4VCI section 12.2.2.
	IssuerWellKnown = "openid-credential-issuer"
	// ServerWellKnown: RFC 8414 section 3.
	ServerWellKnown = "oauth-authorization-server"
)

// Header fields.
const (
	// DPoPHeader and DPoPNonceHeader: RFC 9449 sections 4.1 and 8.
	DPoPHeader      = "DPoP"
	DPoPNonceHeader = "DPoP-Nonce"
	// ClientAttestationHeader and the two after it: client attestation draft-10
	// sections 4, 5.1 and 6.2.
	ClientAttestationHeader          = "OAuth-Client-Attestation"
	ClientAttestationPoPHeader       = "OAuth-Client-Attestation-PoP"
	ClientAttestationChallengeHeader = "OAuth-Client-Attestation-Challenge"
)

// OfferScheme begins a credential offer for a wallet of which nothing is known
// (section 12.1.1). HAIPOfferScheme is the one that HAIP 1.0 adds.
const (
	OfferScheme     = "openid-credential-offer://"
	HAIPOfferScheme = "haip-vci://"
)

// Words of formats and bindings.
const (
	// SDJWTFormat: OpenID4VCI appendix A.3.1.
	SDJWTFormat = "dc+sd-jwt"
	// CWTFormat is a CWT bound to the holder's key (SD-CWT), in base64url without padding.
	// It is our own: no profile names one yet. Its type stands in vct.
	CWTFormat = "sd-cwt"
	// JWKBinding: a credential names the holder's key as JWK (section 12.2.4).
	JWKBinding = "jwk"
	// DetailType is the type of authorization_details (section 5.1.1).
	DetailType = "openid_credential"
	// S256 is the one way of PKCE (RFC 7636 section 4.2).
	S256 = "S256"
	// AttestClient and AttestClientDPoP are ways of client authentication (client
	// attestation draft-10 section 8); the second has the DPoP proof as its proof of
	// possession. NoClientAuth: RFC 7591 section 2.
	AttestClient     = "attest_jwt_client_auth"
	AttestClientDPoP = "attest_jwt_client_auth_dpop"
	NoClientAuth     = "none"
	// keyAgreement is the one alg of encrypted messages (HAIP 1.0 section 5).
	keyAgreement = "ECDH-ES"
	// requestURIPrefix begins what a pushed request is known by (RFC 9126 section 2.2).
	requestURIPrefix = "urn:ietf:params:oauth:request_uri:"
)

// A ProofType is a way to prove keys (appendix F).
type ProofType string

// The proof types that we carry.
const (
	// JWTProof: each key signs.
	JWTProof ProofType = "jwt"
	// AttestationProof: somebody we trust names the keys.
	AttestationProof ProofType = "attestation"
)

// A TokenType is how an access token is shown (RFC 6750, RFC 9449 section 5).
type TokenType string

// The token types. Their names are compared without regard to case.
const (
	DPoPToken   TokenType = "DPoP"
	BearerToken TokenType = "Bearer"
)

// An Event is what became of credentials in a wallet (section 11.1).
type Event string

// The events.
const (
	CredentialAccepted Event = "credential_accepted"
	CredentialFailure  Event = "credential_failure"
	CredentialDeleted  Event = "credential_deleted"
)

// A Code is the error member of an error response. The set is closed for what we
// write; what a wallet reads may be another one.
type Code string

// The codes.
const (
	// RFC 6749 sections 4.1.2.1 and 5.2.
	InvalidRequest          Code = "invalid_request"
	InvalidClient           Code = "invalid_client"
	InvalidGrant            Code = "invalid_grant"
	InvalidScope            Code = "invalid_scope"
	UnauthorizedClient      Code = "unauthorized_client"
	UnsupportedGrantType    Code = "unsupported_grant_type"
	UnsupportedResponseType Code = "unsupported_response_type"
	AccessDenied            Code = "access_denied"
	ServerError             Code = "server_error"
	TemporarilyUnavailable  Code = "temporarily_unavailable"
	// RFC 8707 section 2.
	InvalidTarget Code = "invalid_target"
	// RFC 9396 section 14.6.
	InvalidAuthorizationDetails Code = "invalid_authorization_details"
	// RFC 6750 section 3.1.
	InvalidToken      Code = "invalid_token"
	InsufficientScope Code = "insufficient_scope"
	// RFC 9449 sections 5 and 8.
	InvalidDPoPProof Code = "invalid_dpop_proof"
	UseDPoPNonce     Code = "use_dpop_nonce"
	// Client attestation draft-10 section 7.4.
	InvalidClientAttestation Code = "invalid_client_attestation"
	UseAttestationChallenge  Code = "use_attestation_challenge"
	UseFreshAttestation      Code = "use_fresh_attestation"
	// OpenID4VCI section 8.3.1.2.
	InvalidCredentialRequest       Code = "invalid_credential_request"
	UnknownCredentialConfiguration Code = "unknown_credential_configuration"
	UnknownCredentialIdentifier    Code = "unknown_credential_identifier"
	InvalidProof                   Code = "invalid_proof"
	InvalidNonce                   Code = "invalid_nonce"
	InvalidEncryptionParameters    Code = "invalid_encryption_parameters"
	CredentialRequestDenied        Code = "credential_request_denied"
	// OpenID4VCI section 9.3.
	InvalidTransactionID Code = "invalid_transaction_id"
	// OpenID4VCI section 11.3.
	InvalidNotificationID      Code = "invalid_notification_id"
	InvalidNotificationRequest Code = "invalid_notification_request"
)
