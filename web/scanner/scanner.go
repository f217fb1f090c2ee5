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
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/internal/webpage"
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

// files returns the files of the page.
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
	page, err := files()
	if err != nil {
		return err
	}
	s, err := settingsOf(bundle, "")
	if err != nil {
		return err
	}
	made := map[string][]byte{settingsFile: s}
	if len(bundle) > 0 {
		made[bundleFile] = bundle
	}
	return page.Export(dir, made)
}

// policy is the page's own, as its meta element says, and what only a header can say.
const policy = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; " +
	"connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Routes serve the page under /scanner/. Bundle returns the trust bundle to hand out, nil
// if there is none now. It returns [ErrNotBuilt] if there is no page.
func Routes(bundle func() []byte) ([]web.Route, error) {
	page, err := files()
	if err != nil {
		return nil, err
	}
	m := &maker{bundle: bundle, deltas: new(deltas)}
	file := page.Handler(policy, m.file)
	return []web.Route{
		{Method: http.MethodGet, Pattern: "/scanner/{$}", Name: "scanner", Handler: file, Cache: "no-cache", Rate: "light"},
		{Method: http.MethodGet, Pattern: "/scanner/{file...}", Name: "scanner-file", Handler: file, Cache: "no-cache", Rate: "light"},
	}, nil
}

// A maker makes the files that are not embedded.
type maker struct {
	bundle func() []byte
	deltas *deltas
}

func (m *maker) file(name string, r *http.Request) ([]byte, error) {
	switch name {
	case settingsFile:
		return settingsOf(m.bundle(), tallies)
	case bundleFile:
		b := m.bundle()
		if len(b) == 0 {
			return nil, fs.ErrNotExist
		}
		if delta := m.deltas.from(r.URL.Query().Get("from"), b); delta != nil {
			return delta, nil
		}
		return b, nil
	}
	return nil, nil
}
