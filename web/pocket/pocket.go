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
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/sanad-id/sanad/internal/durable"
	"github.com/sanad-id/sanad/internal/web"
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
)

// Path is where the page is, below the address of the issuer.
const Path = "/pocket/"

// Link is the address of the page with an offer in it. The part behind # never leaves the
// browser. Base is where the page is; offer is a link openid-credential-offer://.
func Link(base, offer string) string {
	_, query, _ := strings.Cut(offer, "?")
	return base + "#offer=" + query
}

func files() (fs.FS, error) {
	dist, err := fs.Sub(embedded, "dist")
	if err != nil {
		return nil, err
	}
	if _, err := fs.Stat(dist, "sw.js"); err != nil {
		return nil, ErrNotBuilt
	}
	return dist, nil
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
// hold an older page; nothing else in it is touched. The service worker is written last,
// so that browsers take the new page when all of it is there.
func Export(dir string, o ExportOptions) error {
	if err := export(dir, o); err != nil {
		return fmt.Errorf("export pocket page: %w", err)
	}
	return nil
}

func export(dir string, o ExportOptions) error {
	dist, err := files()
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
	if err := os.MkdirAll(filepath.Join(dir, "words"), 0o755); err != nil {
		return err
	}
	write := func(name string, b []byte) error {
		return durable.Replace(filepath.Join(dir, filepath.FromSlash(name)), b, 0o644)
	}
	var last []byte
	err = fs.WalkDir(dist, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !public(name) {
			return err
		}
		b, err := fs.ReadFile(dist, name)
		if err != nil {
			return err
		}
		switch name {
		case "sw.js":
			last = b
			return nil
		case "index.html":
			b = index(b, ask)
		}
		return write(name, b)
	})
	if err != nil {
		return err
	}
	if err := write(settingsFile, s); err != nil {
		return err
	}
	if len(o.Trust) > 0 {
		if err := write(bundleFile, o.Trust); err != nil {
			return err
		}
	}
	return write("sw.js", last)
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

// public reports whether a file of dist belongs to the page.
func public(name string) bool { return name != "README" && !strings.HasSuffix(name, ".gz") }

// Routes serve the page at [Path] below prefix, the path of the issuer's address. Served,
// the page asks this server only. Bundle returns the trust bundle to hand out, nil if
// there is none now. It returns [ErrNotBuilt] if there is no page.
func Routes(prefix string, bundle func() []byte) ([]web.Route, error) {
	dist, err := files()
	if err != nil {
		return nil, err
	}
	h := &handler{dist: dist, bundle: bundle}
	at := prefix + Path
	return []web.Route{
		{Method: http.MethodGet, Pattern: at + "{$}", Name: "pocket", Handler: h.file, Cache: "no-cache", Rate: "light"},
		{Method: http.MethodGet, Pattern: at + "{file...}", Name: "pocket-file", Handler: h.file, Cache: "no-cache", Rate: "light"},
	}, nil
}

type handler struct {
	dist   fs.FS
	bundle func() []byte
}

// own is what a served page may ask.
const own = "'self'"

// file serves one file, compressed where the browser takes that, with a tag by which it
// need not be sent again.
func (h *handler) file(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("file")
	if name == "" {
		name = "index.html"
	}
	notFound := web.Refuse(http.StatusNotFound, "not_found", "there is no such file")
	if !fs.ValidPath(name) || !public(name) {
		return notFound
	}
	var b []byte
	var err error
	switch name {
	case settingsFile:
		b, err = settingsOf(h.bundle())
	case bundleFile:
		if b = h.bundle(); len(b) == 0 {
			return notFound
		}
	case "index.html":
		if b, err = fs.ReadFile(h.dist, name); err == nil {
			b = index(b, own)
		}
	default:
		b, err = h.embedded(w, r, name)
		if errors.Is(err, fs.ErrNotExist) {
			return notFound
		}
	}
	if err != nil {
		return err
	}
	sum := sha256.Sum256(b)
	header := w.Header()
	header.Set("ETag", `"`+hex.EncodeToString(sum[:12])+`"`)
	header.Set("Content-Type", mediaType(name))
	header.Set("Content-Security-Policy", policy(own)+framed)
	header.Set("Permissions-Policy", "camera=(self), microphone=(), geolocation=()")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
	return nil
}

// embedded reads a file of the page, in its compressed form if that is taken.
func (h *handler) embedded(w http.ResponseWriter, r *http.Request, name string) ([]byte, error) {
	small, err := fs.ReadFile(h.dist, name+".gz")
	if err != nil {
		return fs.ReadFile(h.dist, name)
	}
	w.Header().Set("Vary", "Accept-Encoding")
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		return fs.ReadFile(h.dist, name)
	}
	w.Header().Set("Content-Encoding", "gzip")
	return small, nil
}

func mediaType(name string) string {
	switch ext := path.Ext(name); ext {
	case ".wasm":
		return "application/wasm"
	case ".webmanifest":
		return "application/manifest+json"
	case ".trust":
		return "application/octet-stream"
	case ".js":
		return "text/javascript; charset=utf-8"
	default:
		return mime.TypeByExtension(ext)
	}
}
