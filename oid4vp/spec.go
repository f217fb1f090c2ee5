package oid4vp

import "github.com/sanad-id/sanad/internal/strict"

// Words of the protocol. Sections are those of OpenID4VP 1.0 unless another text is
// named.
const (
	// RequestType is the typ of a request object (section 5, RFC 9101 section 10.8).
	RequestType = "oauth-authz-req+jwt"
	// RequestMediaType is the content type of one, and what a wallet accepts (section 5.10).
	RequestMediaType = "application/oauth-authz-req+jwt"
	// FormMediaType is the content type of what a wallet posts (sections 5.10, 8.2).
	FormMediaType = "application/x-www-form-urlencoded"
	// ReplyMediaType is the content type of the verifier's answer (section 8.2).
	ReplyMediaType = "application/json"
	// StaticAudience is the aud of a request for wallets that were not discovered
	// (section 5.8).
	StaticAudience = "https://self-issued.me/v2"
	// Scheme calls any wallet (section 13.1.2), HAIPScheme one of the profile (HAIP
	// section 5.1).
	Scheme     = "openid4vp"
	HAIPScheme = "haip-vp"

	responseType = "vp_token" // section 5.6
	sha256Name   = "sha-256"  // section B.3.3.1, IANA Named Information Hash Algorithm
)

// A ResponseMode says how the wallet returns its response.
type ResponseMode string

// The response modes that are supported here.
const (
	DirectPost    ResponseMode = "direct_post"     // section 8.2
	DirectPostJWT ResponseMode = "direct_post.jwt" // section 8.3.1
)

// A Method says how a wallet fetches a request object (section 5.1).
type Method string

// The methods.
const (
	Get  Method = "get"
	Post Method = "post"
)

// Names of parameters and members.
const (
	pClientID         = "client_id"          // section 5.2
	pRequest          = "request"            // RFC 9101 section 5
	pRequestURI       = "request_uri"        // RFC 9101 section 5
	pRequestURIMethod = "request_uri_method" // section 5.1
	pResponseType     = "response_type"      // section 5.6
	pResponseMode     = "response_mode"      // section 5.2
	pResponseURI      = "response_uri"       // section 8.2
	pRedirectURI      = "redirect_uri"       // sections 8.2
	pNonce            = "nonce"              // section 5.2
	pState            = "state"              // section 5.2
	pScope            = "scope"              // section 5.5
	pQuery            = "dcql_query"         // section 5.1
	pClientMetadata   = "client_metadata"    // section 5.1
	pTransactionData  = "transaction_data"   // section 5.1
	pVerifierInfo     = "verifier_info"      // section 5.1
	pWalletMetadata   = "wallet_metadata"    // section 5.10
	pWalletNonce      = "wallet_nonce"       // section 5.10
	pVPToken          = "vp_token"           // section 8.1
	pResponse         = "response"           // section 8.3.1
	pError            = "error"              // section 8.5
	pErrorDescription = "error_description"  // section 8.5
	pResponseCode     = "response_code"      // section 13.3
	mJWKS             = "jwks"               // section 5.1
	mEncryptions      = "encrypted_response_enc_values_supported"
	mFormats          = "vp_formats_supported"                        // section 11.1
	mPrefixes         = "client_id_prefixes_supported"                // section 10.1
	mSigning          = "request_object_signing_alg_values_supported" // section 5.10
	mSDJWT            = "sd-jwt_alg_values"                           // section B.3.4
	mKBJWT            = "kb-jwt_alg_values"                           // section B.3.4
	mHashes           = "transaction_data_hashes"                     // section B.3.3.1
	mHashesAlg        = "transaction_data_hashes_alg"
)

// Limits on what is read.
const (
	// MaxInvocation is the most bytes of a link that calls a wallet.
	MaxInvocation = 64 << 10
	// MaxRequest is the most bytes of a request object.
	MaxRequest = 128 << 10
	// MaxResponse is the most bytes of what a wallet posts, after form decoding.
	MaxResponse = 1 << 20
	// MaxReply is the most bytes of the verifier's answer to that.
	MaxReply = 16 << 10
	// MaxQuery is the most bytes of a DCQL query.
	MaxQuery = 64 << 10
	// MaxPresentations is the most presentations of one response.
	MaxPresentations = 64

	maxCredentials = 32  // of a query
	maxClaims      = 128 // of a credential query
	maxSets        = 32  // claim sets, or credential sets
	maxOptions     = 64  // of a credential set
	maxValues      = 64  // of a claim, a type, an authority
	maxSteps       = 16  // of a path
	maxID          = 128 // bytes of an id
	maxText        = 512 // bytes of a step or a value
	maxURI         = 2048
	maxNonce       = 512
	maxFormats     = 32
	maxJWKs        = 16
	maxTransaction = 16 // transaction data of a request
	maxInfo        = 16 // verifier infos of a request
)

var (
	queryLimits    = strict.Limits{Bytes: MaxQuery, Depth: 8, Items: 20_000}
	requestLimits  = strict.Limits{Bytes: MaxRequest, Depth: 12, Items: 24_000}
	metadataLimits = strict.Limits{Bytes: 32 << 10, Depth: 8, Items: 1_000}
	replyLimits    = strict.Limits{Bytes: MaxReply, Depth: 4, Items: 64}
	tokenLimits    = strict.Limits{Bytes: MaxResponse, Depth: 8, Items: 1_000}
	dataLimits     = strict.Limits{Bytes: 16 << 10, Depth: 8, Items: 1_000}
)
