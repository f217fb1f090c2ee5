// Package pocket is the page that is a wallet for people without an app: its files,
// ready to be served beside an issuer ([Routes]) or to be put onto any web server
// ([Export]).
//
// The files are made by `make web` from page/ (HTML, style, modules), wasm/ (the
// engine), the catalogues of internal/i18n and zxing-wasm, and are embedded from dist/.
// A program that was built without that step has no page and says so ([ErrNotBuilt]).
//
// Left to others: everything about credentials (web/pocket/engine and package wallet).
package pocket

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"net/url"
	"strings"

	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/internal/webpage"
	"github.com/sanad-id/sanad/trust"
)

//go:embed all:dist
var embedded embed.FS

// ErrNotBuilt: this program was built without the page.
var ErrNotBuilt = errors.New("pocket: this program was built without the pocket page")

// Files of the page that are made when it is served.
const (
	settingsFile = "settings.json"
	bundleFile   = "bundle.trust"
	indexFile    = "index.html" // says what the page may ask
)

// Path is where the page is, below the address of the issuer.
const Path = "/pocket/"

// Link is the address of the page with an offer in it. The part behind # never leaves the
// browser. Base is where the page is; offer is a link openid-credential-offer://.
func Link(base, offer string) string {
	_, query, _ := strings.Cut(offer, "?")
	return base + "#offer=" + query
}

func files() (*webpage.Files, error) {
	dist, err := fs.Sub(embedded, "dist")
	if err != nil {
		return nil, err
	}
	f, err := webpage.Open(dist)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotBuilt
	}
	return f, err
}

// Built reports whether this program has the page.
func Built() bool {
	_, err := files()
	return err == nil
}

// settings are what the page asks for when it starts.
type settings struct {
	// Trust is the address of the newest trust bundle, empty if there is none to fetch.
	Trust string `json:"trust,omitempty"`
	// Fingerprint is that of the root that the page trusts, because whoever serves it has
	// compared it.
	Fingerprint string `json:"fingerprint,omitempty"`
}

func settingsOf(bundle []byte) ([]byte, error) {
	var s settings
	if len(bundle) > 0 {
		b, err := trust.Open(bundle)
		if err != nil {
			return nil, err
		}
		s = settings{Trust: bundleFile, Fingerprint: b.Fingerprint()}
	}
	return json.Marshal(s)
}

// policy is what the page may do: ask these places and nobody else. The meta element of
// the page says the same, for servers that send no headers.
func policy(ask string) string {
	return "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; " +
		"connect-src " + ask + "; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'"
}

// framed is what a header can say and a meta element cannot.
const framed = "; frame-ancestors 'none'"

// asks stands in index.html where the places to ask are put in.
const asks = "@ASK@"

// ExportOptions say what an exported page begins with.
type ExportOptions struct {
	// Trust is a trust bundle, nil for none.
	Trust []byte
	// Issuers are the addresses of the issuers that the page may ask. None means any with
	// https.
	Issuers []string
}

// Export writes the page into a folder that any web server can serve. The folder may
// hold an older page; nothing else in it is touched.
func Export(dir string, o ExportOptions) error {
	if err := export(dir, o); err != nil {
		return fmt.Errorf("export pocket page: %w", err)
	}
	return nil
}

func export(dir string, o ExportOptions) error {
	page, err := files()
	if err != nil {
		return err
	}
	ask, err := places(o.Issuers)
	if err != nil {
		return err
	}
	s, err := settingsOf(o.Trust)
	if err != nil {
		return err
	}
	first, err := page.Read(indexFile)
	if err != nil {
		return err
	}
	made := map[string][]byte{settingsFile: s, indexFile: index(first, ask)}
	if len(o.Trust) > 0 {
		made[bundleFile] = o.Trust
	}
	return page.Export(dir, made)
}

// places are the sources of a content security policy for these issuers.
func places(issuers []string) (string, error) {
	if len(issuers) == 0 {
		return "'self' https:", nil
	}
	ask := "'self'"
	for _, address := range issuers {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "https" || u.Hostname() == "" || strings.ContainsAny(u.Host, " ;,'\"*") {
			return "", fmt.Errorf("%.80q is no https address of an issuer", address)
		}
		ask += " https://" + u.Host
	}
	return ask, nil
}

// index is the page for these places.
func index(page []byte, ask string) []byte {
	return bytes.Replace(page, []byte(asks), []byte(html.EscapeString(policy(ask))), 1)
}

// Routes serve the page at [Path] below prefix, the path of the issuer's address. Served,
// the page asks this server only. Bundle returns the trust bundle to hand out, nil if
// there is none now. It returns [ErrNotBuilt] if there is no page.
func Routes(prefix string, bundle func() []byte) ([]web.Route, error) {
	page, err := files()
	if err != nil {
		return nil, err
	}
	at, file := prefix+Path, page.Handler(policy(own)+framed, made(page, bundle))
	return []web.Route{
		{Method: http.MethodGet, Pattern: at + "{$}", Name: "pocket", Handler: file, Cache: "no-cache", Rate: "light"},
		{Method: http.MethodGet, Pattern: at + "{file...}", Name: "pocket-file", Handler: file, Cache: "no-cache", Rate: "light"},
	}, nil
}

// own is what a served page may ask.
const own = "'self'"

// made makes the files that are not embedded, or not as they are served.
func made(page *webpage.Files, bundle func() []byte) webpage.Made {
	return func(name string, _ *http.Request) ([]byte, error) {
		switch name {
		case settingsFile:
			return settingsOf(bundle())
		case bundleFile:
			if b := bundle(); len(b) > 0 {
				return b, nil
			}
			return nil, fs.ErrNotExist
		case indexFile:
			b, err := page.Read(name)
			return index(b, own), err
		}
		return nil, nil
	}
}
