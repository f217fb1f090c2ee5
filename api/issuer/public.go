package issuer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/web"
)

// trustType is the media type of a trust bundle.
const trustType = "application/octet-stream"

// maxPublished is the most bytes of a published file.
const maxPublished = 64 << 20

// publishedIndex is what is read of index.json in a published folder.
type publishedIndex struct {
	Lists []publishedFile `json:"lists"`
	Trust *publishedFile  `json:"trust"`
}

type publishedFile struct {
	File     string    `json:"file"`
	IssuedAt time.Time `json:"issued_at"`
}

// serveStatus answers with a status list: as JWT to whoever names that, else as CWT if
// there is one (Token Status List section 8.1). It comes from the published folder, so
// that it is there when nothing else is (promise P29).
func (e *Endpoints) serveStatus(w http.ResponseWriter, r *http.Request) error {
	q, err := web.Query(r)
	if err != nil {
		return err
	}
	if q.Has("time") { // section 8.4: the list of now is no answer to that
		return web.Refuse(http.StatusNotImplemented, "no_history", "this server has the list of now only")
	}
	if len(q) > 0 {
		return web.Refuse(http.StatusBadRequest, "unexpected_query", "this address takes no query")
	}
	list := r.PathValue("list")
	forms := []struct{ suffix, media string }{{".cwt", status.MediaType}, {".jwt", status.MediaTypeJWT}}
	if accept := r.Header.Values("Accept"); wants(accept, status.MediaTypeJWT) && !wants(accept, status.MediaType) {
		forms[0], forms[1] = forms[1], forms[0]
	}
	x, err := e.index()
	if err != nil {
		return err
	}
	w.Header().Add("Vary", "Accept")
	for _, f := range forms {
		for i := range x.Lists {
			if x.Lists[i].File == list+f.suffix {
				return e.servePublished(w, r, x.Lists[i], f.media)
			}
		}
	}
	return notFound()
}

// serveTrust answers with the trust bundle.
func (e *Endpoints) serveTrust(w http.ResponseWriter, r *http.Request) error {
	x, err := e.index()
	if err != nil {
		return err
	}
	if x.Trust == nil {
		return notFound()
	}
	return e.servePublished(w, r, *x.Trust, trustType)
}

// index reads what is published now.
func (e *Endpoints) index() (x publishedIndex, err error) {
	b, err := os.ReadFile(filepath.Join(e.cfg.Published, "index.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return x, notFound()
	}
	if err != nil {
		return x, fmt.Errorf("published folder: %w", err)
	}
	if err := json.Unmarshal(b, &x); err != nil {
		return x, fmt.Errorf("published folder: %w", err)
	}
	return x, nil
}

// servePublished answers with a file that the index names. Its age is that of what it
// says, not of the copy.
func (e *Endpoints) servePublished(w http.ResponseWriter, r *http.Request, f publishedFile, media string) error {
	b, err := e.readPublished(f)
	if err != nil {
		return err
	}
	w.Header().Set("Last-Modified", f.IssuedAt.UTC().Format(http.TimeFormat))
	return Document{media, b}.answer(w, r)
}

// TrustBundle is the trust bundle that is published now, nil if there is none or it
// cannot be read.
func (e *Endpoints) TrustBundle() []byte {
	if e.cfg.Published == "" {
		return nil
	}
	x, err := e.index()
	if err != nil || x.Trust == nil {
		return nil
	}
	b, err := e.readPublished(*x.Trust)
	if err != nil {
		return nil
	}
	return b
}

// Path is the path of the issuer's address, "" if it has none.
func (e *Endpoints) Path() string { return e.path }

// readPublished reads a file that the index names.
func (e *Endpoints) readPublished(f publishedFile) ([]byte, error) {
	if f.File == "" || f.File != filepath.Base(f.File) || strings.HasPrefix(f.File, ".") {
		return nil, errors.New("published folder: the index names a file elsewhere")
	}
	in, err := os.Open(filepath.Join(e.cfg.Published, f.File))
	if err != nil {
		return nil, fmt.Errorf("published folder: %w", err)
	}
	defer in.Close() // only read
	info, err := in.Stat()
	if err != nil || info.Size() > maxPublished {
		return nil, errors.Join(errors.New("published folder: a file that cannot be served"), err)
	}
	b := make([]byte, info.Size())
	if _, err := in.ReadAt(b, 0); err != nil {
		return nil, fmt.Errorf("published folder: %w", err)
	}
	return b, nil
}
