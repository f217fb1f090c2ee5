package issuer

import (
	"net/http"
	"time"

	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/oid4vci"
)

// Paths below the issuer's URL.
const (
	pathOffer        = "/offer/"
	pathPAR          = "/oauth/par"
	pathAuthorize    = "/oauth/authorize"
	pathLogin        = "/oauth/login/"
	pathUpstream     = "/oauth/upstream/"
	pathCallback     = "/oauth/callback"
	pathToken        = "/oauth/token"
	pathChallenge    = "/oauth/challenge"
	pathNonce        = "/oid4vci/nonce"
	pathCredential   = "/oid4vci/credential"
	pathDeferred     = "/oid4vci/deferred"
	pathNotification = "/oid4vci/notification"
	pathStatus       = "/status/"
	pathType         = "/type/"
	pathTrust        = "/trust/bundle.trust"
	pathLogo         = "/logo"
)

// Names of the documents of [Config.Keys]. They are paths below the issuer's URL, but for
// the well-known ones, which stand where their standards want them.
const (
	PathJWKS       = "/jwks.json"
	PathIssuerKeys = "/.well-known/jwt-vc-issuer"
	PathDID        = "/.well-known/did.json"
)

// Events are what [Config.Count] is told.
func Events() []string {
	return []string{
		"offer", "pushed_request", "login", "login_refused", "token", "credential", "deferred", "denied", "disclosed_key", "wrong_tx_code", "wrong_claim_code",
		"grant_ended_by_replay", "notification_accepted", "notification_failure", "notification_deleted", "published_damaged", "refused", "sample_key",
		"unavailable",
	}
}

// Rates that the routes name; see [web.Rate].
const (
	rateRead = "light"
	// ratePeople is for the steps by which people get credentials. Whole offices and
	// mobile networks come from one address: what keeps guesses away is that each code is
	// long or may be tried five times.
	ratePeople = "people"
)

// Caches may keep public files for a minute: a revocation waits no longer in them.
var publicFor = web.MaxAge(time.Minute)

// Routes is the table of all endpoints.
func (e *Endpoints) Routes() []web.Route {
	public := func(name, pattern string, h web.Handler) web.Route {
		return web.Route{Method: http.MethodGet, Pattern: pattern, Name: name, Handler: e.open(h), Rate: rateRead, Cache: publicFor, AnyOrigin: true}
	}
	wellKnown := func(name string) string { return "/.well-known/" + name + e.path }
	at := func(server oid4vci.Server, name, path string, size int64, h web.Handler, media ...string) web.Route {
		return web.Route{
			Method: http.MethodPost, Pattern: e.path + path, Name: name, Handler: e.oauth(server, h), MaxBody: size, Media: media, AnyOrigin: true, Rate: ratePeople,
		}
	}
	const form, credential = 64 << 10, 2 * oid4vci.MaxCredentialRequest
	offer := public("offer", e.path+pathOffer+"{ref}", e.serveOffer)
	offer.Cache, offer.Rate = web.NoStore, ratePeople
	routes := []web.Route{
		public("issuer_metadata", wellKnown(oid4vci.IssuerWellKnown), e.serveMetadata),
		public("server_metadata", wellKnown(oid4vci.ServerWellKnown), e.serveServerMetadata),
		public("issuer_keys", wellKnown("jwt-vc-issuer"), e.serveKeys(PathIssuerKeys)),
		public("jwks", e.path+PathJWKS, e.serveKeys(PathJWKS)),
		public("programme_logo", e.path+pathLogo+"/{programme}", e.serveProgrammeLogo),
		public("type_metadata", e.path+pathType+"{vct...}", e.serveType),
		offer,
		at(oid4vci.AuthorizationServer, "par", pathPAR, form, e.par, web.MediaForm),
		at(oid4vci.AuthorizationServer, "token", pathToken, form, e.token, web.MediaForm),
		at(oid4vci.ResourceServer, "nonce", pathNonce, 4<<10, e.nonce, web.MediaJSON, web.MediaForm),
		at(oid4vci.ResourceServer, "credential", pathCredential, credential, e.credential, oid4vci.JSONType, oid4vci.JWTType),
		at(oid4vci.ResourceServer, "deferred", pathDeferred, credential, e.deferred, oid4vci.JSONType, oid4vci.JWTType),
		at(oid4vci.ResourceServer, "notification", pathNotification, form, e.notification, oid4vci.JSONType),
	}
	if e.cfg.Attestation.Attesters != nil {
		routes = append(routes, at(oid4vci.AuthorizationServer, "attestation_challenge", pathChallenge, 4<<10, e.challenge, web.MediaJSON, web.MediaForm))
	}
	if e.cfg.Logo.Content != nil {
		routes = append(routes, public("logo", e.path+pathLogo, e.serveLogo))
	}
	routes = append(routes, web.Route{
		Method: http.MethodGet, Pattern: e.path + "/openapi.json", Name: "openapi", Handler: OpenAPI.Serve, Rate: rateRead, Cache: publicFor, AnyOrigin: true,
	})
	// did:web with a path has its document below that path.
	if e.path == "" {
		routes = append(routes, public("did", PathDID, e.serveKeys(PathDID)))
	} else {
		routes = append(routes, public("did", e.path+"/did.json", e.serveKeys(PathDID)))
	}
	routes = append(routes, e.pages()...)
	if e.cfg.Published != "" {
		lists := public("status_list", e.path+pathStatus+"{list}", e.serveStatus)
		lists.Query = true
		routes = append(routes, lists,
			public("trust_bundle", e.path+pathTrust, e.serveTrust))
	}
	return routes
}
