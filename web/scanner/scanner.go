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
	"embed"
	"encoding/json"
	"errors"
	"fmt"
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
var ErrNotBuilt = errors.New("scanner: this program was built without the scanner page")

// Files of the page that are made when it is served.
const (
	settingsFile = "settings.json"
	bundleFile   = "bundle.trust"
	indexFile    = "index.html" // says whom the page may ask
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

// asks stands in index.html where the places to ask are put in.
const asks = "@ASK@"

// ExportOptions say what an exported page begins with, and whom it may ask.
type ExportOptions struct {
	// Trust is a trust bundle, nil for none.
	Trust []byte
	// Tallies is the address of a `verifier serve` that takes what counters have counted,
	// such as https://verifier.example. The page may then ask that server, too, which has to
	// name the website of the page in its settings. Optional.
	Tallies string
}

// Export writes the page into a folder that any web server can serve. The folder may
// hold an older page; nothing else in it is touched. The service worker is written last,
// so that browsers take the new page when all of it is there.
func Export(dir string, o ExportOptions) error {
	if err := export(dir, o); err != nil {
		return fmt.Errorf("export scanner page: %w", err)
	}
	return nil
}

func export(dir string, o ExportOptions) error {
	page, err := files()
	if err != nil {
		return err
	}
	ask, upload, err := places(o.Tallies)
	if err != nil {
		return err
	}
	s, err := settingsOf(o.Trust, upload)
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

// places are the sources of a content security policy for a page that uploads to this
// server, and where it uploads to.
func places(server string) (ask, upload string, err error) {
	if server == "" {
		return own, "", nil
	}
	u, err := url.Parse(server)
	if err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(u.Host, " ;,'\"*") ||
		u.Hostname() == "" || u.Scheme != "https" && !(u.Scheme == "http" && webpage.Loopback(u.Hostname())) {
		return "", "", fmt.Errorf("%.80q is not the https address of a verifier", server)
	}
	return own + " " + u.Scheme + "://" + u.Host, u.JoinPath("tallies").String(), nil
}

// index is the page for these places.
func index(page []byte, ask string) []byte { return bytes.Replace(page, []byte(asks), []byte(ask), 1) }

// own is what a served page may ask.
const own = "'self'"

// policy is the page's own, as its meta element says, and what only a header can say.
const policy = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; " +
	"connect-src " + own + "; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Routes serve the page under /scanner/. Bundle returns the trust bundle to hand out, nil
// if there is none now. It returns [ErrNotBuilt] if there is no page.
func Routes(bundle func() []byte) ([]web.Route, error) {
	page, err := files()
	if err != nil {
		return nil, err
	}
	m := &maker{page: page, bundle: bundle, deltas: new(deltas)}
	file := page.Handler(policy, m.file)
	return []web.Route{
		{Method: http.MethodGet, Pattern: "/scanner/{$}", Name: "scanner", Handler: file, Cache: "no-cache", Rate: "light"},
		{Method: http.MethodGet, Pattern: "/scanner/{file...}", Name: "scanner-file", Handler: file, Cache: "no-cache", Rate: "light"},
	}, nil
}

// A maker makes the files that are not embedded.
type maker struct {
	page   *webpage.Files
	bundle func() []byte
	deltas *deltas
}

func (m *maker) file(name string, r *http.Request) ([]byte, error) {
	switch name {
	case settingsFile:
		return settingsOf(m.bundle(), tallies)
	case indexFile:
		b, err := m.page.Read(name)
		return index(b, own), err
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
