// Package scanner is the page that checks certificates in a browser, also without a
// network: its files, ready to be served ([Routes]) or to be put onto any web server
// ([Export]).
//
// The files are made by `make web` from page/ (HTML, style, modules), wasm/ (the
// verifier), the catalogues of internal/i18n and zxing-wasm, and are embedded from
// dist/. A program that was built without that step has no page and says so
// ([ErrNotBuilt]).
//
// Left to others: what a code is worth (web/scanner/engine and package verification).
package scanner

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
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
var ErrNotBuilt = errors.New("scanner: this program was built without the scanner page")

// Files of the page that are made when it is served.
const (
	settingsFile = "settings.json"
	bundleFile   = "bundle.trust"
)

// files returns the folder of the page.
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

// settings are what the page asks for when it starts.
type settings struct {
	// Trust is the address of the newest trust bundle, empty if there is none to fetch.
	Trust string `json:"trust,omitempty"`
	// Fingerprint is that of the root that the page trusts from the beginning, because
	// whoever serves it has compared it.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Tallies is the address that takes what counters have counted, empty if there is none.
	Tallies string `json:"tallies,omitempty"`
}

// tallies is where `verifier serve` takes counts, seen from the page. A server that does
// not take them answers 404, and the page keeps them.
const tallies = "../tallies"

// settingsOf makes the settings for a bundle, or for none.
func settingsOf(bundle []byte, tallies string) ([]byte, error) {
	s := settings{Tallies: tallies}
	if len(bundle) > 0 {
		b, err := trust.Open(bundle)
		if err != nil {
			return nil, err
		}
		s.Trust, s.Fingerprint = bundleFile, b.Fingerprint()
	}
	return json.Marshal(s)
}

// Export writes the page into a folder that any web server can serve, with a trust
// bundle to begin with unless it is nil. The folder may hold an older page; nothing else
// in it is touched. The service worker is written last, so that browsers take the new
// page when all of it is there.
func Export(dir string, bundle []byte) error {
	if err := export(dir, bundle); err != nil {
		return fmt.Errorf("export scanner page: %w", err)
	}
	return nil
}

func export(dir string, bundle []byte) error {
	dist, err := files()
	if err != nil {
		return err
	}
	s, err := settingsOf(bundle, "")
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
		if name == "sw.js" {
			last = b
			return nil
		}
		return write(name, b)
	})
	if err != nil {
		return err
	}
	if err := write(settingsFile, s); err != nil {
		return err
	}
	if len(bundle) > 0 {
		if err := write(bundleFile, bundle); err != nil {
			return err
		}
	}
	return write("sw.js", last)
}

// public reports whether a file of dist belongs to the page.
func public(name string) bool { return name != "README" && !strings.HasSuffix(name, ".gz") }

// policy is the page's own, as its meta element says, and what only a header can say.
const policy = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; " +
	"connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Routes serve the page under /scanner/. Bundle returns the trust bundle to hand out, nil
// if there is none now. It returns [ErrNotBuilt] if there is no page.
func Routes(bundle func() []byte) ([]web.Route, error) {
	dist, err := files()
	if err != nil {
		return nil, err
	}
	h := &handler{dist: dist, bundle: bundle, deltas: new(deltas)}
	return []web.Route{
		{Method: http.MethodGet, Pattern: "/scanner/{$}", Name: "scanner", Handler: h.file, Cache: "no-cache", Rate: "light"},
		{Method: http.MethodGet, Pattern: "/scanner/{file...}", Name: "scanner-file", Handler: h.file, Cache: "no-cache", Rate: "light"},
	}, nil
}

type handler struct {
	dist   fs.FS
	bundle func() []byte
	deltas *deltas
}

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
		b, err = settingsOf(h.bundle(), tallies)
	case bundleFile:
		if b = h.bundle(); len(b) == 0 {
			return notFound
		}
		if delta := h.deltas.from(r.URL.Query().Get("from"), b); delta != nil {
			b = delta
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
	header.Set("Content-Security-Policy", policy)
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
