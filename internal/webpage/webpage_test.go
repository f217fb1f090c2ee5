package webpage

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"
)

func packed(t *testing.T, text string) *fstest.MapFile {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &fstest.MapFile{Data: b.Bytes()}
}

func open(t *testing.T) *Files {
	t.Helper()
	f, err := Open(fstest.MapFS{
		"README": {Data: []byte("what this is")}, "sw.js.gz": packed(t, "worker"), "index.html": {Data: []byte("<p>")},
		"words/bn.json.gz": packed(t, "{}"), "program.wasm.gz": packed(t, "program"), "broken.js.gz": {Data: []byte("no gzip")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFiles(t *testing.T) {
	if _, err := Open(fstest.MapFS{"README": {}}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a page that was not made: %v", err)
	}
	f := open(t)
	names, err := f.Names()
	if want := []string{"broken.js", "index.html", "program.wasm", "sw.js", "words/bn.json"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("%q, %v, want %q", names, err, want)
	}
	for name, want := range map[string]string{"index.html": "<p>", "program.wasm": "program", "words/bn.json": "{}"} {
		if b, err := f.Read(name); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if b, err := f.Read("broken.js"); err == nil {
		t.Errorf("broken.js: %q", b)
	}
	for _, name := range []string{"", ".", "..", "../x", "/index.html", "words", "README", "program.wasm.gz", "nothing"} {
		if b, err := f.Read(name); err == nil {
			t.Errorf("%s: %q", name, b)
		}
		if b, err := f.Compressed(name); err == nil {
			t.Errorf("%s: %q", name, b)
		}
	}
}

// TestHandler: a browser that takes compressed files gets them so, another one the whole,
// both with a tag; what is made goes before what is embedded.
func TestHandler(t *testing.T) {
	f := open(t)
	serve := f.Handler("default-src 'none'", func(name string, _ *http.Request) ([]byte, error) {
		switch name {
		case "settings.json":
			return []byte("made"), nil
		case "later.json":
			return nil, fs.ErrNotExist
		}
		return nil, nil
	})
	get := func(name, accept, tag string) (*httptest.ResponseRecorder, error) {
		r := httptest.NewRequest(http.MethodGet, "/page/x", nil)
		r.SetPathValue("file", name)
		r.Header.Set("Accept-Encoding", accept)
		if tag != "" {
			r.Header.Set("If-None-Match", tag)
		}
		w := httptest.NewRecorder()
		return w, serve(w, r)
	}
	for _, row := range []struct{ name, accept, encoding, media, body string }{
		{"", "gzip", "", "text/html; charset=utf-8", "<p>"},
		{"program.wasm", "br, gzip", "gzip", "application/wasm", ""},
		{"program.wasm", "", "", "application/wasm", "program"},
		{"settings.json", "gzip", "", "application/json", "made"},
	} {
		w, err := get(row.name, row.accept, "")
		h := w.Header()
		if err != nil || w.Code != http.StatusOK || h.Get("Content-Encoding") != row.encoding || h.Get("Content-Type") != row.media ||
			row.body != "" && w.Body.String() != row.body || h.Get("Content-Security-Policy") != "default-src 'none'" {
			t.Errorf("%+v: %v, %d, %v, %q", row, err, w.Code, h, w.Body)
		}
		if again, err := get(row.name, row.accept, h.Get("ETag")); err != nil || again.Code != http.StatusNotModified {
			t.Errorf("%+v again: %v, %d", row, err, again.Code)
		}
	}
	for _, name := range []string{"later.json", "nothing", "..", "README", "program.wasm.gz"} {
		if w, err := get(name, "gzip", ""); err == nil {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
}

// TestExport: what is exported is whole and plain, and the service worker comes last.
func TestExport(t *testing.T) {
	f, dir := open(t), t.TempDir()
	if err := f.Export(dir, map[string][]byte{"settings.json": []byte("made")}); err == nil {
		t.Error("a broken file was exported")
	}
	if _, err := os.Stat(filepath.Join(dir, "sw.js")); err == nil {
		t.Error("the service worker was written before the rest")
	}
	made := map[string][]byte{"settings.json": []byte("made"), "index.html": []byte("<p>made"), "broken.js": nil}
	if err := f.Export(dir, made); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"settings.json": "made", "index.html": "<p>made", "program.wasm": "program", "words/bn.json": "{}", "broken.js": "",
		"sw.js": fmt.Sprintf("worker\n// for the page %x\n", sha256.Sum256([]byte("<p>made"))),
	} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "README")); err == nil {
		t.Error("README was exported")
	}
}
