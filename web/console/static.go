package console

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"sync"

	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/staff"
)

//go:embed static
var staticFiles embed.FS

// staticPath is the folder of everything that browsers may run or style with.
const staticPath = Base + "/static/"

// static is one file.
type static struct {
	name, media, digest string
	content             []byte
}

var staticMedia = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", ".woff2": "font/woff2", ".png": "image/png",
}

// statics are the files by name.
var statics = sync.OnceValue(func() map[string]static {
	all := map[string]static{}
	err := fs.WalkDir(staticFiles, "static", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := staticFiles.ReadFile(p)
		if err != nil {
			return err
		}
		media, ok := staticMedia[path.Ext(p)]
		if !ok {
			return fmt.Errorf("%s has no media type", p)
		}
		sum := sha256.Sum256(b)
		name := p[len("static/"):]
		all[name] = static{name, media, hex.EncodeToString(sum[:6]), b}
		return nil
	})
	if err != nil {
		panic("console: internal error: " + err.Error())
	}
	return all
})

// assetPath is the address of a static file, which changes with its content. Modules
// import each other without it, by ./name.js; they are asked for anew each hour.
func assetPath(name string) (string, error) {
	s, ok := statics()[name]
	if !ok {
		return "", fmt.Errorf("console: internal error: no file %s", name)
	}
	return staticPath + name + "?v=" + s.digest, nil
}

// serveStatic serves a file.
func (c *Console) serveStatic(w http.ResponseWriter, r *request) error {
	s, ok := statics()[r.PathValue("file")]
	if !ok {
		return errNotFound
	}
	tag := `"` + s.digest + `"`
	w.Header().Set("ETag", tag)
	w.Header().Set("Vary", "Accept-Encoding")
	if r.URL.RawQuery == "v="+s.digest {
		w.Header().Set("Cache-Control", web.Immutable)
	}
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	web.Write(w, http.StatusOK, s.media, s.content)
	return nil
}

func (c *Console) staticRoute() route {
	r := get("static", "/static/{file}", staff.Visit, c.serveStatic)
	r.Bare, r.Rate, r.Cache = true, "light", "public, max-age=3600"
	return r
}
