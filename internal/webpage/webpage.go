// Package webpage serves and exports a page that lives in the browser: files that
// scripts/web.sh has made and a program has embedded, among them a program for the
// browser and the service worker that keeps them all.
//
// Start with [Open]. [Files.Handler] serves the page from the program; [Files.Export]
// writes it into a folder for any web server. What is larger than a few kilobytes is
// embedded in its compressed form only, which is what browsers take.
//
// Left to others: what the page may do (its content security policy is an argument), and
// files that are made when they are asked for, its settings above all.
package webpage

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/internal/durable"
	"github.com/sanad-id/sanad/internal/web"
)

const (
	// worker is the service worker. It names all other files, with a digest of them.
	worker = "sw.js"
	// compressed ends the name of a file in its compressed form.
	compressed = ".gz"
	indexFile  = "index.html"
	readme     = "README" // says what the folder is for where the page was not made
)

// Files are those of one page.
type Files struct{ dist fs.FS }

// Open returns the files of a folder that scripts/web.sh has made. The error is
// [fs.ErrNotExist] if it was not made before the program was built.
func Open(dist fs.FS) (*Files, error) {
	f := &Files{dist}
	if _, err := f.Read(worker); err != nil {
		return nil, err
	}
	return f, nil
}

// Read returns a file as the browser has it in the end; [fs.ErrNotExist] if the page has
// none of this name.
func (f *Files) Read(name string) ([]byte, error) {
	if !public(name) {
		return nil, fmt.Errorf("%.80q: %w", name, fs.ErrNotExist)
	}
	b, err := fs.ReadFile(f.dist, name)
	if !errors.Is(err, fs.ErrNotExist) {
		return b, err
	}
	small, err := f.Compressed(name)
	if err != nil {
		return nil, err
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(small))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return io.ReadAll(unpacked) // embedded by us: as large as it is
}

// Compressed returns a file in its compressed form (gzip); [fs.ErrNotExist] if it is too
// small to have one.
func (f *Files) Compressed(name string) ([]byte, error) {
	if !public(name) {
		return nil, fmt.Errorf("%.80q: %w", name, fs.ErrNotExist)
	}
	return fs.ReadFile(f.dist, name+compressed)
}

// Names returns the names of all files, sorted, without those that are made when they
// are asked for.
func (f *Files) Names() ([]string, error) {
	var names []string
	err := fs.WalkDir(f.dist, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && name != readme {
			names = append(names, strings.TrimSuffix(name, compressed))
		}
		return err
	})
	slices.Sort(names)
	return slices.Compact(names), err
}

func public(name string) bool {
	return fs.ValidPath(name) && name != "." && name != readme && !strings.HasSuffix(name, compressed)
}

// Made returns a file that is made when it is asked for, or nil if name is none of those.
// What it does not have now is an [fs.ErrNotExist].
type Made func(name string, r *http.Request) ([]byte, error)

// Handler serves the files, by the path value "file" and "index.html" without one:
// compressed where the browser takes that, and with a tag by which they need not be sent
// again. Policy is their Content-Security-Policy.
func (f *Files) Handler(policy string, made Made) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		name := r.PathValue("file")
		if name == "" {
			name = indexFile
		}
		b, err := made(name, r)
		if b == nil && err == nil {
			b, err = f.accepted(w, r, name)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return web.Refuse(http.StatusNotFound, "not_found", "there is no such file")
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
}

// accepted reads a file in the form that the browser takes.
func (f *Files) accepted(w http.ResponseWriter, r *http.Request, name string) ([]byte, error) {
	small, err := f.Compressed(name)
	if err != nil {
		return f.Read(name)
	}
	w.Header().Set("Vary", "Accept-Encoding")
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		return f.Read(name)
	}
	w.Header().Set("Content-Encoding", "gzip")
	return small, nil
}

// Export writes the page into a folder that any web server can serve. Made are files that
// it has besides, or has instead of its own. The folder may hold an older page; nothing
// else in it is touched. The service worker is written last, so that browsers take the
// new page when all of it is there.
func (f *Files) Export(dir string, made map[string][]byte) error {
	names, err := f.Names()
	if err != nil {
		return err
	}
	for name := range made {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	names = append(slices.DeleteFunc(names, func(name string) bool { return name == worker }), worker)
	for _, name := range names {
		b, ok := made[name]
		if !ok {
			if b, err = f.Read(name); err != nil {
				return err
			}
		}
		if index := made[indexFile]; name == worker && index != nil {
			// Browsers look for changes in this file alone.
			b = fmt.Appendf(bytes.Clone(b), "\n// for the page %x\n", sha256.Sum256(index))
		}
		to := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := durable.Replace(to, b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Loopback reports whether a host is this machine, of which http is as good as https.
func Loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
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
